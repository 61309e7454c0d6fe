"""Rebuild results/: every folder that needs no GPU, in the order in which they depend on each other, going on where it was.

    python benchmarks/rebuild.py                   # everything, two processes; several hours
    python benchmarks/rebuild.py digits suite      # these
    python benchmarks/rebuild.py --list            # what makes each folder, and whether the code has changed since

Finished runs, fits and trainings are kept, so an interrupted rebuild goes on and one of unchanged code only writes again.
A folder whose tables are not here is left as it is, and said. Exit code 1 if a command failed; the others still run.

`--list` compares what a folder's manifest says of its runs with what the code would run today: an id covers the code that
decides, the parameters and the tables (`study.plan.run_id`). Older code need not compute anything else: that is what
`nasbench-lab reproduce results/NAME` finds out.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from nasbench_lab.errors import LabError
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import load_study
from nasbench_lab.tables import catalog

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
LAB = "nasbench-lab"
PORTFOLIO = "portfolio portfolio:third= gp_bo local_search regularized_evolution"
TASKS = ("class_scene", "jigsaw", "autoencoder", "segmentsemantic")
TABLES = (
    *(f"transnas-{kind}-{task}" for kind in ("micro", "macro") for task in TASKS),
    *("nas-bench-macro", "fcnet-naval_propulsion", "fcnet-parkinsons_telemonitoring", "digits", "chain"),
)
SPACES = " ".join(f"--table {name}" for name in TABLES)
PREDICTORS = "gp mlp forest gbdt bayes_linear knn gcn --table cifar10"


def _study(name: str) -> tuple[str, ...]:
    return (f"{LAB} run benchmarks/{name}.toml --workers 2",)


# What makes a folder. Studies of embedded tables first; what reads another folder after it; the longest last.
MADE: dict[str, tuple[str, ...]] = {
    "digits": _study("digits"),
    "suite": (f"{LAB} compare --out results/suite --workers 2",),
    "digits_validation": (
        f"{LAB} validate results/digits --top 10 --random 30 --seeds 2 --workers 2 --out results/digits_validation",
    ),
    "nb201_protocol": _study("nb201_protocol"),
    "nb201_noise": _study("nb201_noise"),
    "nb201_oracle": _study("nb201_oracle"),
    "nb201_gp_bo": _study("nb201_gp_bo"),
    "nb201_val200": _study("nb201_val200"),
    "reinforce_rate": _study("reinforce_rate"),
    "audit": (f"{LAB} audit cifar10 cifar100 --out results/audit",),
    "multi_objective": _study("multi_objective"),
    "ablation": _study("ablation"),
    "ablation_spaces": _study("ablation_spaces"),
    "transfer": _study("transfer"),
    "transfer_tasks": _study("transfer_tasks"),
    "surrogates": (
        f"{LAB} surrogates {PREDICTORS} --target val --train 50,100,200,400,800 --seeds 10 --out results/surrogates",
    ),
    "surrogates_cell": (
        f"{LAB} surrogates {PREDICTORS} --target test --split cell --train 78,156,469,781,1024 --seeds 5 "
        "--out results/surrogates_cell",
    ),
    "nb201_surrogates": _study("nb201_surrogates"),
    "nb201_model_based": _study("nb201_model_based"),
    "all_families": _study("all_families"),
    "portfolio": (
        f"{LAB} compare {PORTFOLIO} {SPACES} --max-queries 100 --seeds 50 --out results/portfolio --workers 2",
    ),
    "spaces": _study("spaces"),
    "one_shot": ("python benchmarks/one_shot.py --workers 2",),
    "one_shot_validation": (
        f"{LAB} validate results/one_shot --inherit --top 5 --random 5 --seeds 2 --out results/one_shot_validation",
    ),
}
REAL = ("cifar10", "cifar100")  # tables that a command may name and that do not come with the package
# Trainings that tables were made of: measured, not computed; `benchmarks/README.md` says by which commands.
MEASURED = ("chain_shards", "digits_shards")


def state(folder: Path) -> str:
    """Whether the code of today would run what a folder shows: "current", "older code: ..." or why that is not told."""
    if not (folder / "manifest.json").exists():
        return "not told: no runs with ids" if folder.exists() else "not there"
    manifest = json.loads((folder / "manifest.json").read_text())
    if "study" not in manifest:
        return "not told: no runs with ids"
    try:
        now = [group.id for group in resolve(load_study(folder)).groups]
    except LabError as error:
        return f"not told: {error}"
    runs = manifest["runs"]
    if len(runs) != len(now):
        return f"not told: {len(runs)} rows, and its study has {len(now)}"
    old = [f"{run['strategy']} on {run['table']}" for run, each in zip(runs, now, strict=True) if run["id"] != each]
    return f"older code: {len(old)} of {len(runs)} rows, {old[0]} the first" if old else "current"


def _missing(name: str) -> list[str]:
    """The tables that a committed folder is of and that are not here."""
    path = RESULTS / name / "manifest.json"
    manifest = json.loads(path.read_text()) if path.exists() else {}
    named = [word for command in MADE[name] for word in command.split() if word in REAL]
    found = []
    for table in dict.fromkeys([*manifest.get("tables", ()), *named]):
        try:
            catalog.find(table)
        except LabError:
            found.append(table)
    return found


def _run(command: str) -> int:
    program, *arguments = shlex.split(command)
    lab = ["-m", "nasbench_lab"] if program == LAB else []
    return subprocess.run([sys.executable, *lab, *arguments], cwd=HERE.parent, check=False).returncode


def main() -> int:
    """Rebuild, or list."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"folders: {', '.join(MADE)}; all if none is named")
    parser.add_argument("--list", action="store_true", help="say what makes each folder, and whether the code changed")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in MADE]:
        parser.error(f"no folder {unknown[0]!r}; there are {', '.join(MADE)}")
    failed = []
    for name in [name for name in MADE if not options.names or name in options.names]:
        if options.list:
            print(f"{name}: {state(RESULTS / name)}\n    " + "\n    ".join(MADE[name]), flush=True)
            continue
        if missing := _missing(name):
            print(f"{name}: left as it is, {', '.join(missing)} is not here", flush=True)
            continue
        begin = time.monotonic()
        codes = [_run(command) for command in MADE[name]]
        print(f"{name}: {time.monotonic() - begin:.0f} s{', failed' if any(codes) else ''}", flush=True)
        failed += [name] if any(codes) else []
    if not options.list:
        failed += ["the index"] if _run(f"{LAB} leaderboard --all") else []
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
