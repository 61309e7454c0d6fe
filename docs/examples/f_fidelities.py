"""
Several fidelities
==================

Learning curves let a strategy stop early. What it saves is simulated time, so the budget is in seconds.
"""

import nasbench_lab as nl

table = nl.load_table("digits")
print("epochs that can be asked for:", table.last.epochs)
budget = 60 * float(table.last.seconds[:, -1].mean())  # as long as 60 full trainings of an average cell

board = nl.compare(
    "random_search",
    "hyperband",
    "learning_curve_stopping",
    table="digits",
    max_seconds=budget,
    seeds=20,
    out="results/curves",
)
board[["strategy", "rank_low", "rank_high", "test_mean", "queries", "seconds"]].round(2)

# %%
chart = nl.plot.regret("results/curves", over="seconds", width=5)
