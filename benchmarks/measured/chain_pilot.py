"""How the training of chains was chosen, as `digits_pilot` chose that of cells: the same columns, for random classes of chains.

    python benchmarks/measured/chain_pilot.py --cells 20 --folder /tmp/pilot [--settings b32-1536 ...]

Resumable (shards per setting in the folder); 1 to 3 CPU-seconds a training.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from nasbench_lab.training.networks import CHAINS
from nasbench_lab.training.problem import make_problem

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.measured.digits_pilot import compare

BASE = make_problem("digits", space="chain").task
SETTINGS = {
    "b32-1536": BASE,  # the choice
    "b32-1024": replace(BASE, part_size=1024),
    "b64-2048": replace(BASE, part_size=2048, recipe=replace(BASE.recipe, batch=64)),
    "b64-1536": replace(BASE, recipe=replace(BASE.recipe, batch=64)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    chosen = {name: SETTINGS[name] for name in options.settings}
    compare(chosen, CHAINS.space, options.cells, options.folder, options.workers, {})


if __name__ == "__main__":
    main()
