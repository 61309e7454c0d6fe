"""
A strategy of your own
======================

A strategy is a dataclass in a file of its own: its fields are hyper-parameters, ``propose`` says what to ask next, ``observe`` is told
the answer. ``nasbench-lab new my_search.py`` writes one that works; here it is written from Python.
"""

from pathlib import Path

import nasbench_lab as nl

Path("my_search.py").write_text('''
"""Local moves from the best cell so far, with now and then a random one."""

from dataclasses import dataclass

import nasbench_lab as nl


@dataclass
class MySearch(nl.Strategy):
    """Local moves from the best cell so far, with now and then a random one."""

    explore: float = 0.2  # share of random cells

    def setup(self) -> None:
        self.best, self.score = -1, float("-inf")

    def propose(self) -> nl.Query:
        space = self.task.space
        if self.best < 0 or space.size == 1 or self.rng.random() < self.explore:
            return nl.Query(space.sample(self.rng), self.task.full)
        return nl.Query(space.mutate(self.best, self.rng), self.task.full)

    def observe(self, result: nl.Result) -> None:
        if result.score > self.score:
            self.best, self.score = result.query.arch, result.score
''')

# %%
# Does it keep the rules? In pytest the marker ``strategies`` runs the same checks.
for check in nl.check_strategy("my_search.py"):
    check()
    print("passed:", check)

# %%
# How good is it? Two of its runs are repeated in processes that hold no table, so its row can be trusted.
board = nl.compare(
    "my_search.py", "local_search", "random_search", table="digits", seeds=20, max_queries=60, out="results/mine"
)
board[["strategy", "rank_low", "rank_high", "test_mean", "test_lo", "test_hi"]].round(2)

# %%
chart = nl.plot.regret("results/mine", width=5)
