"""One-shot strategies on digits: supernets and their agreement with the table, then the study `one_shot.toml` on the same.

    NASBENCH_LAB_CHECKPOINTS=DIR python benchmarks/one_shot.py [--workers 2] [--out results/one_shot]

With NASBENCH_LAB_CHECKPOINTS set a supernet is trained once: the study goes on from what the first part left. Both parts
are resumable: a supernet, or a run, that is finished is not repeated. Do not go back to the first part after the second.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nasbench_lab import api, supernet_report, supernets
from nasbench_lab.study import read_study

HERE = Path(__file__).parent


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / "one_shot")
    options = parser.parse_args()
    study = read_study(HERE / "one_shot.toml")
    sharing = supernets.sharing()
    specs = tuple(spec for spec in study.strategies if spec.partition(":")[0] in sharing)
    settings = supernets.Settings(specs, "digits", study.seeds, cells=200, every=6, images=400)
    out = options.out / "supernets"

    def told(done: int, total: int) -> None:
        print(f"{done} of {total}", flush=True)

    jobs = supernets.run(settings, out, workers=options.workers, progress=told)
    supernet_report.write(supernet_report.build(settings, jobs), out)
    api.run(study, options.out, workers=options.workers, progress=told)


if __name__ == "__main__":
    main()
