"""Slurm, by submitit: jobs are array jobs, and what they return comes back by a folder that Slurm's nodes see, too."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs
import submitit

from nasbench_lab.core import LabError
from nasbench_lab.files import paths
from nasbench_lab.study.engines.engine import Died, Engine, Lost, Token

_TEXTS = ("partition", "account", "qos", "constraint")
_NUMBERS = {"time": "timeout_min", "mem_gb": "mem_gb", "cpus": "cpus_per_task"}  # ours -> submitit's
OPTIONS = (*_TEXTS, *_NUMBERS, "folder", "cluster")
_LOOK = 0.5  # seconds between two looks
_GONE = 60.0  # seconds for which Slurm knows nothing of a job before it is taken for dead, where no accounting says why
_LOST = ("NODE_FAIL", "PREEMPTED", "REQUEUED", "REVOKED", "BOOT_FAIL")


class Slurm(Engine):
    """Jobs of a Slurm cluster.

    Args:
        options: "partition=cpu,time=60": of `OPTIONS`, `time` in minutes. `folder` is where jobs and what they return are
            handed over, a cache of the user's if left out; `cluster=local` runs them here, to try it.
        workers: jobs that run at once.

    Raises:
        LabError: an option that does not exist, or a number that is none.
        RuntimeError: there is no Slurm here.
    """

    arrays = True

    def __init__(self, options: str, workers: int) -> None:
        given = _parsed(options)
        self.slots = workers
        folder = paths.home(given.pop("folder", "") or Path(platformdirs.user_cache_dir("nasbench_lab")) / "slurm")
        cluster = given.pop("cluster", "slurm")
        self._where = "this machine" if cluster == "local" else "Slurm"
        named = {f"slurm_{name}": value for name, value in given.items() if name in _TEXTS}
        counted = {_NUMBERS[name]: _number(name, value) for name, value in given.items() if name in _NUMBERS}
        self._executor = submitit.AutoExecutor(folder=folder.absolute() / "%j", cluster=cluster)
        self._executor.update_parameters(
            name="nasbench-lab", slurm_array_parallelism=workers, **({"timeout_min": 60} | named | counted)
        )
        self._out: dict[str, Token] = {}
        self._seen: dict[str, float] = {}  # when Slurm was last known to know of a job
        self._queue = shutil.which("squeue") if cluster == "slurm" else None
        self._accounts = cluster != "slurm" or _keeps_accounts()

    def start(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Token]:
        """As of `Engine`; one array.

        Raises:
            LabError: Slurm does not take it.
        """
        try:
            with self._executor.batch():
                started = [self._executor.submit(_told, function, job) for job in jobs]
        except submitit.core.utils.FailedJobError as error:
            raise LabError(f"Slurm does not take the job: {error}") from error
        self._out.update({job.job_id: job for job in started})
        self._seen.update(dict.fromkeys(self._out, time.monotonic()))
        return [job.job_id for job in started]

    def finished(self, seconds: float) -> list[Token]:
        """As of `Engine`."""
        until = time.monotonic() + seconds
        while not (found := [name for name, job in self._out.items() if self._ended(job)]) and time.monotonic() < until:
            time.sleep(_LOOK)
        return found or self._gone()

    def _ended(self, job: Token) -> bool:
        """Whether a job has; where Slurm keeps no accounts, only what it returned says so: submitit would ask and complain."""
        return bool(job.done() if self._accounts else job.paths.result_pickle.exists())

    def _gone(self) -> list[Token]:
        """Jobs that are not in the queue any more and gave nothing: without accounting nothing else tells."""
        now = time.monotonic()
        if self._queue is None or not any(now - self._seen[name] > _GONE / 2 for name in self._out):
            return []
        told = subprocess.run(
            [self._queue, "--noheader", "--array", "--format=%i"], capture_output=True, text=True, check=False
        )
        if told.returncode:  # Slurm is away: nothing is known
            return []
        self._seen.update(dict.fromkeys(told.stdout.split(), now))
        return [name for name in self._out if now - self._seen[name] > _GONE]

    def result(self, token: Token) -> Any:
        """As of `Engine`."""
        job = self._out.pop(token)
        self._seen.pop(token, None)
        if not self._ended(job):
            raise Died(f"Slurm job {job.job_id} is not in the queue any more and gave nothing; see {job.paths.stderr}")
        try:
            found: _Told = job.result()
        except submitit.core.utils.UncompletedJobError as error:
            if job.state in _LOST:
                raise Lost(f"Slurm says {job.state}") from error
            raise Died(f"Slurm job {job.job_id} ended without a result, {job.state}; see {job.paths.stderr}") from error
        except submitit.core.utils.FailedJobError as error:
            raise LabError(f"Slurm job {job.job_id} failed: {str(error).strip().splitlines()[-1]}") from error
        if found.error is not None:
            raise found.error
        return found.value

    def waits_for(self) -> str:
        """As of `Engine`."""
        states = sorted({str(job.state).lower() for job in self._out.values()}) if self._accounts else ["see squeue"]
        return f"{len(self._out)} jobs of {self._where} ({', '.join(states)})"

    def close(self, *, early: bool) -> None:
        """As of `Engine`."""
        for job in self._out.values() if early else ():
            job.cancel(check=False)


def _keeps_accounts() -> bool:
    asked = shutil.which("sacct")
    return asked is not None and not subprocess.run([asked, "--noheader"], capture_output=True, check=False).returncode


class _Told(NamedTuple):
    value: Any
    error: LabError | None


def _told(function: Callable[[Any], Any], job: Any) -> _Told:
    """What a function returned, or a user's error as a value: submitit would keep its text alone."""
    try:
        return _Told(function(job), None)
    except LabError as error:
        return _Told(None, error)


def _parsed(options: str) -> dict[str, str]:
    pairs = [each.partition("=") for each in options.split(",")] if options else []
    found = {name.strip(): value.strip() for name, _, value in pairs}
    for name, value in found.items():
        if name not in OPTIONS or not value:
            raise LabError(f"engine 'slurm' takes {', '.join(f'{each}=...' for each in OPTIONS)}; got {name!r}")
    return found


def _number(name: str, value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise LabError(f"engine 'slurm': {name} must be a whole number from 1 on, got {value!r}")
    return int(value)
