"""
A first comparison
==================

Three strategies, 20 seeds, 60 queries each, on the table that is inside the package.
"""

import nasbench_lab as nl

board = nl.compare(
    "random_search",
    "local_search",
    "regularized_evolution",
    table="digits",
    seeds=20,
    max_queries=60,
    out="results/first",
)
board[["strategy", "rank_low", "rank_high", "test_mean", "test_lo", "test_hi", "regret_mean"]].round(2)

# %%
# ``rank_low`` to ``rank_high`` are the ranks that the tests cannot exclude. The same as a picture:
chart = nl.plot.rank_ranges("results/first", width=5)

# %%
# Mean regret over queries, with its 95% band, beside what random search is expected to have in closed form:
regret = nl.plot.regret("results/first", width=5)

# %%
# One run, query by query; ``incumbent_test`` is joined afterwards, no strategy sees it:
run = nl.search("local_search", "digits", seed=1, max_queries=50)
run[["order", "arch", "epochs", "val", "incumbent", "incumbent_test"]].tail().round(2)
