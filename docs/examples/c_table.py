"""
A table of your own
===================

Any finite set of configurations with scores is a benchmark: a frame (or a CSV, with ``nasbench-lab tables import``) with a row for each.
"""

import itertools

import numpy as np
import pandas as pd

import nasbench_lab as nl

rng = np.random.default_rng(0)
rows = []
for depth, width, activation, lr in itertools.product(
    [2, 4, 6, 8], [16, 32, 64, 128], ["relu", "gelu", "tanh"], [1e-3, 1e-2, 1e-1]
):
    level = (
        70 + 4 * np.log2(width / 16) - 0.6 * (depth - 5) ** 2 + 2 * (activation == "gelu") - 6 * (np.log10(lr) + 2) ** 2
    )
    trials = level + rng.normal(0, 0.8, 4)
    rows.append((depth, width, activation, lr, *trials, 1.5 * depth * width))
frame = pd.DataFrame(rows, columns=["depth", "width", "activation", "lr", "val_0", "val_1", "val_2", "val_3", "cost"])
frame.head()

# %%
# Scores of several trials and no test score: the search sees the first trial, and is scored on the mean of the others.
table = nl.Table.from_frame(frame, name="my_net", decisions=["depth", "width", "activation", "lr"], val=["val_0", "val_1", "val_2", "val_3"],
                            seconds="cost", unit="%")  # fmt: skip
print(table, "| scored on", table.scored)

# %%
# Numbers keep their order and their scale; every strategy works on it, also those with a model.
board = nl.compare(
    "random_search", "local_search", "tpe", "gp_bo", table=table, seeds=20, max_queries=30, out="results/my_net"
)
board[["strategy", "rank_low", "rank_high", "test_mean", "regret_mean"]].round(2)

# %%
# With ``trials="split"`` every seed draws which training answers, so that no run depends on the first one's luck:
board = nl.compare(
    "random_search",
    "local_search",
    "tpe",
    table=table,
    trials="split",
    seeds=20,
    max_queries=30,
    out="results/split",
)
board[["strategy", "rank_low", "rank_high", "test_mean", "regret_mean"]].round(2)
