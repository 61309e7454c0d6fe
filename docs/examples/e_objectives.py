"""
Several objectives
==================

Test accuracy against size: strategies are ranked by the hypervolume of all cells they queried.
"""

import nasbench_lab as nl

board = nl.compare(
    "mo_random",
    "nsga2",
    "mo_local_search",
    table="digits",
    objectives="params_m",
    seeds=20,
    max_queries=80,
    out="results/two",
)
board[["strategy", "rank_low", "rank_high", "hypervolume_mean", "hypervolume_lo", "hypervolume_hi"]].round(4)

# %%
# The exact front of all cells, and what half of a strategy's runs attain:
front = nl.plot.front("results/two", width=5)
