"""
Another dataset's scores
========================

``sources`` are tables of other datasets whose validation scores strategies may read. Does knowing them help?
"""

import nasbench_lab as nl

board = nl.compare("random_search", "gp_bo", "transfer_gp", "zero_shot_prior", table="cifar10-surrogate", sources=["cifar100-surrogate"], seeds=5,
                   max_queries=30, out="results/transfer")  # fmt: skip
board[["strategy", "test_mean", "regret_mean"]].round(2)

# %%
# Five seeds describe; they test nothing, and the board says so:
from pathlib import Path

print(next(line for line in Path("results/transfer/leaderboard.md").read_text().split("\n") if "Seeds:" in line))
