"""Facts of the real tables of other spaces. Skipped where the data is absent; in CI beside the data they must run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from official_data import SHARED, present

from nasbench_lab.spaces import naming
from nasbench_lab.tables.fetching import macro, transnas
from nasbench_lab.tables.formats import nas_bench_macro
from nasbench_lab.tables.formats import transnas as transnas_format
from nasbench_lab.tables.table import Table

FOLDER, UPSTREAM = SHARED / "spaces", SHARED / "upstream"
if not present(FOLDER / "transnas_micro.parquet"):
    pytest.skip(f"needs {FOLDER}", allow_module_level=True)

# best by validation -> its test; best test; the best by validation, as the benchmark writes it
MACRO = {
    "class_scene": (57.4791, 64.4805, 65.2717, "224131"),
    "jigsaw": (97.0193, 97.0740, 97.0740, "2243"),
    "autoencoder": (0.7688, 0.7808, 0.7808, "221113"),
    "segmentsemantic": (29.6621, 30.9039, 32.4674, "211314"),
}
MICRO = {
    "class_scene": (54.9363, 63.5699, 64.1769, "332132"),
    "jigsaw": (95.3722, 95.2727, 95.2727, "330132"),
    "autoencoder": (0.5772, 0.5960, 0.5960, "120310"),
    "segmentsemantic": (26.2707, 28.0009, 29.5851, "333213"),
}
METRIC = {"class_scene": "top1", "jigsaw": "top1", "autoencoder": "ssim", "segmentsemantic": "mIoU"}


def digits(table: Table, arch: int) -> str:
    """A cell of micro from 0, a stage of macro from 1, an absent stage not at all."""
    row, first = table.space.row(arch), 0 if table.space.roles else 1
    return "".join(str(option + first) for option in row if first == 0 or option < 4)


@pytest.mark.parametrize("task", METRIC)
def test_transnas(task):
    file = UPSTREAM / "NASGraph-Public" / f"transbench101_{task}.csv"
    micro, chains = transnas_format.read(file)
    assert (micro.name, chains.name) == (f"transnas-micro-{task}", f"transnas-macro-{task}")
    assert len(set(micro.space.classes.tolist())) == 1236
    for table, facts, name in ((micro, MICRO, "micro"), (chains, MACRO, "macro")):
        val = table.last.val[:, 0]
        best = int(val.argmax())
        assert (val[best], table.truth[best], table.truth.max()) == pytest.approx(facts[task][:3], abs=5e-5)
        assert digits(table, best) == facts[task][3]
        frame = pd.read_parquet(FOLDER / f"transnas_{name}.parquet")
        columns = list(frame.columns[:6])
        assert [[str(v) for v in column] for column in naming.columns(table.space).values()] == [
            frame[column].tolist() for column in columns
        ]
        again = Table.from_frame(
            frame.sample(frac=1, random_state=0), name=table.name, decisions=columns, val=[f"{task}_valid_{METRIC[task]}"],
            test=[f"{task}_test_{METRIC[task]}"], seconds=f"{task}_seconds", space=table.space, unit=table.unit,
        )  # fmt: skip
        assert np.array_equal(again.truth, table.truth)
        assert np.array_equal(again.last.val, table.last.val)
        assert np.array_equal(again.last.seconds, table.last.seconds)


def test_nas_bench_macro():
    table = nas_bench_macro.read(UPSTREAM / "NAS-Bench-Macro" / "nas-bench-macro_cifar10.json")
    runs = np.concatenate([table.last.val, table.last.test_trials], axis=1)
    mean = runs.mean(axis=1)
    best = int(mean.argmax())
    names = {"".join(map(str, table.space.row(int(arch)))) for arch in np.flatnonzero(mean == mean.max())}
    assert names == {
        "22212220",
        "22212202",
    }  # the second is the same network: an identity may stand anywhere in its stage
    assert runs[best] == pytest.approx([93.28, 93.33, 92.77], abs=5e-3)
    assert (mean[best], mean.min()) == pytest.approx((93.1267, 45.36), abs=5e-3)
    assert int((mean[:, None] >= mean[table.space.neighbours]).all(axis=1).sum()) == 15
    assert table.truth == pytest.approx(runs[:, 1:].mean(axis=1))
    assert "2 of 3: all but test_acc_run1" in table.scored
    assert sorted(table.metrics) == ["flops", "params"]


@pytest.mark.parametrize("task", ["naval_propulsion", "parkinsons_telemonitoring"])
def test_fcnet(task):
    frame = pd.read_parquet(FOLDER / f"fcnet_{task}.parquet")
    columns, seeds = list(frame.columns[:9]), [f"valid_mse_seed{i}" for i in range(4)]
    table = Table.from_frame(
        frame, name="fcnet", decisions=columns, val=seeds, seconds="train_time", metrics=["n_params"], better="lower",
        unit="mean squared error",
    )  # fmt: skip
    assert table.space.listed is None
    assert table.space.options == (2, 2, 4, 3, 3, 6, 2, 6, 6)
    for row in (0, 31_000, 62_207):
        arch = naming.parse(table.space, ", ".join(str(frame[column][row]) for column in columns))
        assert table.last.val[arch, 0] == frame[seeds[0]][row]
        assert table.truth[arch] == pytest.approx(frame.loc[row, seeds[1:]].mean())
        assert table.last.seconds[arch, 0] == frame["train_time"][row]


def test_the_published_files_are_fetched(server, tmp_path):
    for offered in (transnas, macro):
        for file in offered.FILES.values():
            path = UPSTREAM / file.repository.split("/")[1] / file.name
            if path.is_file():
                server.files[file.address] = path.read_bytes()
    tables = transnas.fetch(["class_scene", "autoencoder"], tmp_path, origin=server.url)
    assert [table.name for table in tables] == [
        f"transnas-{kind}-{task}" for task in ("class_scene", "autoencoder") for kind in ("micro", "macro")
    ]
    assert [table.unit for table in tables] == ["%", "%", "SSIM", "SSIM"]
    (chain,) = macro.fetch(["cifar10"], tmp_path, origin=server.url)
    assert chain.name == "nas-bench-macro"
    (same,) = macro.fetch(["cifar10"], tmp_path, origin=str(UPSTREAM))
    assert same.digest == chain.digest
    readme = (UPSTREAM / "README.md").read_text()
    for file in (*transnas.FILES.values(), *macro.FILES.values()):
        assert all(str(part) in readme for part in (file.commit, file.path, file.size, file.sha256))
