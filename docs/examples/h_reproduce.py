"""
Reproducing, and regression in CI
=================================

A results folder says everything its numbers depend on. ``reproduce`` runs it again and compares every record and every shown number.
"""

import subprocess

import nasbench_lab as nl

nl.compare("random_search", "local_search", table="toy", seeds=20, max_queries=50, out="results/kept")
done = subprocess.run(["nasbench-lab", "reproduce", "results/kept"], capture_output=True, text=True, check=False)
print(done.stdout, "exit code", done.returncode)

# %%
# ``compare --baseline`` runs a committed study anew and exits with 3 if a strategy got significantly worse: one line of a CI file.
done = subprocess.run(
    ["nasbench-lab", "compare", "--baseline", "results/kept", "--out", "results/again"],
    capture_output=True,
    text=True,
    check=False,
)
print(done.stdout[-400:], "exit code", done.returncode)
