"""
A paper's table and figure
==========================

Two boards, one LaTeX table, one figure of two panels; from the command line ``nasbench-lab latex`` and ``nasbench-lab plot``.
"""

import nasbench_lab as nl

strategies = ("random_search", "local_search", "regularized_evolution", "tpe")
for name in ("digits", "cifar10-surrogate"):
    nl.compare(*strategies, table=name, seeds=20, max_queries=60, out=f"results/{name}")

# %%
# The best mean is bold, a star marks who is not told apart from it, and the caption says what was done.
print(nl.to_latex("results/digits", "results/cifar10-surrogate"))

# %%
# As wide as the text of the paper, in its font and size; ``save`` writes PDF, SVG or PNG. Panels whose studies were not done
# alike say under their names how they differ.
figure = nl.plot.regret("results/digits", "results/cifar10-surrogate", width="text", font="serif", size=8)
print(nl.plot.save(figure, "figure.pdf"))

# %%
# The sentence of each board, for the text:
from pathlib import Path

print(Path("results/digits/leaderboard.md").read_text().split("**")[1])
