"""Every developer command. `nox -l` lists them; versions and groups come from pyproject.toml and constraints.txt."""

from __future__ import annotations

import nox

nox.needs_version = ">=2026.4"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "venv"

PROJECT = nox.project.load_toml("pyproject.toml")
CONSTRAINTS = ("-c", "constraints.txt")
# Two processes; each takes a half in the order of files, so that it makes what a file's tests share once, then what is left.
TWO = ("-n", "2", "--dist", "worksteal")
# What they ask for cannot be had any more (tensorflow 1.14), or is a gigabyte that reading a table does not need (xgboost).
THEIRS = ("naszilla==1.0", "syne-tune==0.16.0")
HEAVY = ("torch", "sklearn", "optuna", "distributed", "ray")  # what no dependency of the core may bring


def install(session: nox.Session, *groups: str, package: str = ".[all]") -> None:
    """Dependency groups and the package itself with all extras, or as `package` says, under constraints.txt."""
    wanted = [requirement for group in groups for requirement in nox.project.dependency_groups(PROJECT, group)]
    session.install("-q", *CONSTRAINTS, *wanted, *(["-e", package] if package else []))
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # oversubscribed BLAS threads cost a factor of ten
        session.env[variable] = "1"


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite, without the slow tests, on two processes; everything is installed, so nothing is skipped for want of it."""
    install(session, "test")
    session.run("pytest", *TWO, "--everything", *session.posargs)


@nox.session
def core(session: nox.Session) -> None:
    """The test suite with the core alone: what needs an extra is skipped, and says in one line what it needs."""
    install(session, "core", package=".")
    session.run("python", "-c", f"from importlib.util import find_spec as f; assert not [n for n in {HEAVY} if f(n)]")
    session.run("pytest", *TWO, *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """The slow tests: studies killed at random moments, a real Dask cluster, long training, more of every kind."""
    install(session, "test")
    session.run("pytest", *TWO, "-m", "slow", "--everything", "-o", "faulthandler_timeout=3600", *session.posargs)


@nox.session
def clients(session: nox.Session) -> None:
    """Everything of `interop/` with the libraries that it is for, naszilla and syne-tune among them."""
    install(session, "core", "clients", package=".[optuna,configspace,training,nb201]")
    session.install("-q", "--no-deps", *THEIRS)
    session.run("pytest", "tests/interop", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: style and format."""
    install(session, "lint", package="")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    install(session, "types", "bench")
    session.install("-q", *CONSTRAINTS, "nox")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site, docs/_build/html: warnings are errors, and every example is run."""
    install(session, "docs")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Speed, each thing beside what it is compared with, in one run."""
    install(session, "bench")
    session.run(
        "pytest", "benchmarks/speed", "-W", "default", "--benchmark-columns=min,median,max,rounds", *session.posargs
    )


@nox.session
def leaderboard(session: nox.Session) -> None:
    """Rebuild results/, or the folders named; `-- --list` says which are of older code. Needs the tables they are of."""
    install(session)
    session.run("python", "benchmarks/rebuild.py", *session.posargs)


@nox.session
def smoke(session: nox.Session) -> None:
    """The package as a user gets it, the core alone: built, installed without the source tree, run from another folder."""
    session.install("-q", *CONSTRAINTS, ".")
    out = session.create_tmp()
    study = str(session.invoked_from) + "/benchmarks/toy.toml"
    session.chdir(out)
    session.run("nasbench-lab", "list")
    session.run("nasbench-lab", "run", study, "--out", f"{out}/toy", "--seeds", "5")
    session.run("nasbench-lab", "reproduce", f"{out}/toy")
    session.run("nasbench-lab", "check", "local_search")
