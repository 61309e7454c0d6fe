"""What a strategy loads and opens on its way, heard in a process of its own: it may do anything there, dying included.

Standard input: a pickled job. Standard output: one JSON object, path of a file of the author's -> SHA-256.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import suppress

from nasbench_lab import imports, sources
from nasbench_lab.errors import LabError
from nasbench_lab.study import jobs

_QUERIES, _SECONDS = 30, 60.0  # at most


def files(job: jobs.Job) -> dict[str, str] | None:
    """The author's files that take part in the beginning of a job's first run; None where that was not to be had in a minute."""
    command = [sys.executable, "-P", "-m", "nasbench_lab.study.heard"]
    env = {**os.environ, "PYTHONPATH": imports.search_path()}
    # into a file: a pipe ends only when all that the strategy started have closed it
    with suppress(subprocess.TimeoutExpired, ValueError), tempfile.TemporaryFile() as told:
        subprocess.run(
            command,
            input=pickle.dumps(job),
            stdout=told,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            env=env,
            check=False,
        )
        told.seek(0)
        found: dict[str, str] = json.loads(told.read())
        return found
    return None


def main() -> None:
    """Run it, as far as it goes, and tell."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job: jobs.Job = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - of whoever started this process
    found = jobs.opened(job)
    found.loop["max_queries"] = min(found.loop["max_queries"], _QUERIES)
    with suppress(LabError):  # whoever runs it for good says so
        list(jobs.searched(job.of(job.seeds[:1]), found))
    specs = (job.strategy, job.header["evaluator"]["evaluator"])
    json.dump(sources.own(type(found.strategy), type(found.evaluator), specs), told)


if __name__ == "__main__":
    main()
