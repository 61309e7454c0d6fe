from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats.tidy import read_tidy

RNG = np.random.default_rng(0)
SIZE = cell.SPACE.size
STRINGS = [cell.to_string(arch) for arch in range(SIZE)]


def frame() -> pd.DataFrame:
    columns = {"index": np.arange(SIZE), "arch": STRINGS}
    for dataset in ("a", "b"):
        for epochs in (12, 200):
            columns[f"{dataset}/{epochs}/val"] = RNG.uniform(10, 90, SIZE)
            columns[f"{dataset}/{epochs}/test"] = RNG.uniform(10, 90, SIZE)
            columns[f"{dataset}/{epochs}/seconds"] = RNG.uniform(1, 9, SIZE)
    columns["a/latency_ms/edgegpu"] = RNG.uniform(1, 9, SIZE)
    columns["trials"] = np.full(SIZE, 3)
    return pd.DataFrame(columns)


BASE = frame()


def saved(folder, content, name="x.parquet"):
    content.to_parquet(folder / name) if name.endswith("parquet") else content.to_csv(folder / name, index=False)
    return folder / name


def check_base(found):
    assert [table.name for table in found] == ["a", "b"]
    for table in found:
        assert list(table.schedules) == [12, 200]
        for last, schedule in table.schedules.items():
            assert np.allclose(schedule.val[:, 0], BASE[f"{table.name}/{last}/val"])
            assert np.allclose(schedule.test, BASE[f"{table.name}/{last}/test"])
            assert np.allclose(schedule.seconds[:, 0], BASE[f"{table.name}/{last}/seconds"])
    assert list(found[0].metrics) == ["latency_ms/edgegpu", "trials"]
    assert list(found[1].metrics) == ["trials"]


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.csv.gz"])
def test_rows_in_any_order_are_put_in_official_order(tmp_path, name):
    shuffled = BASE.sample(frac=1, random_state=1)
    check_base(read_tidy(saved(tmp_path, shuffled, name), source="s", licence="l"))


@pytest.mark.parametrize("key", ["index", "arch"])
def test_one_key_is_enough(tmp_path, key):
    found = read_tidy(saved(tmp_path, BASE.drop(columns=key).sample(frac=1, random_state=2)))
    check_base(found)
    assert found[0].about["source"] == "not said at import"


def test_means_are_taken_over_the_trials_that_exist(tmp_path):
    table = BASE[["index", "a/200/val", "a/200/seconds"]].copy()
    table["a/200/test/seed777"] = 60.0
    table["a/200/test/seed888"] = [np.nan if arch % 2 else 62.0 for arch in range(SIZE)]
    (found,) = read_tidy(saved(tmp_path, table))
    assert found.truth[:2].tolist() == [61.0, 60.0]
    assert found.last.test_trials.shape == (SIZE, 2)
    assert found.about["seeds"] == {"200": {"test": ("777", "888")}}


def test_a_published_mean_wins_over_the_mean_of_trials(tmp_path):
    table = BASE[["index", "a/200/val", "a/200/test", "a/200/seconds"]].copy()
    table["a/200/test/seed777"] = 71.0
    (found,) = read_tidy(saved(tmp_path, table))
    assert np.allclose(found.truth, BASE["a/200/test"])


def cut(change):
    def make():
        content = BASE.copy()
        return content if (changed := change(content)) is None else changed

    return make


def put(row, column, value):
    def change(content):
        content[column] = content[column].astype(object)
        content.loc[row, column] = value

    return change


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (cut(lambda t: t.drop(index=[7, 9])), f"2 cells are missing, first 7 {STRINGS[7]}"),
        (cut(lambda t: pd.concat([t, t.iloc[[3]]])), f"1 cells appear twice, first 3 {STRINGS[3]}"),
        (cut(put(5, "arch", "|nonsense~0|")), "row 6: a cell string has 3 nodes"),
        (cut(put(5, "arch", None)), "row 6"),
        (cut(put(5, "arch", STRINGS[6])), f"row 6: index 5 is not '{STRINGS[6]}' (6)"),
        (cut(put(5, "index", 15625)), "row 6: index must be 0..15624, got 15625"),
        (cut(put(5, "index", 1.5)), "row 6: index must be 0..15624, got 1.5"),
        (cut(put(5, "index", -1)), "row 6: index must be"),
        (cut(lambda t: t.drop(columns=["index", "arch"])), "needs a column 'arch'"),
        (cut(lambda t: t[["index", "arch"]]), "no column like <dataset>/<epochs>/val"),
        (cut(lambda t: t.drop(columns="a/12/seconds")), "a/12/seconds is missing"),
        (cut(lambda t: t.drop(columns="a/12/val")), "a/12/val is missing"),
        (cut(lambda t: t.drop(columns="b/200/test")), "b/200/test is missing"),
        (cut(lambda t: t.assign(**{"c/accuracy": 1.0})), "'c/accuracy' is not understood"),
        (cut(lambda t: t.assign(**{"a/12/valid": 1.0})), "'a/12/valid' is not understood"),
        (cut(lambda t: t.assign(other=1.0)), "'other' is not understood"),
        (cut(lambda t: t.assign(**{"a/12/val": 100.5})), "'a', schedule 12: val must lie in 0..100"),
        (cut(lambda t: t.assign(**{"a/12/seconds": np.inf})), "schedule 12: seconds must lie"),
        (cut(lambda t: t.iloc[:0]), "15625 cells are missing"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, make, message):
    with pytest.raises(LabError) as error:
        read_tidy(saved(tmp_path, make(), "x.csv"))
    assert message in str(error.value)


def test_a_shuffled_file_is_told_by_row_number_too(tmp_path):
    content = BASE.iloc[::-1].copy()
    content["index"] = content["index"].astype(float)
    content.iloc[5, content.columns.get_loc("index")] = 99999.0
    with pytest.raises(LabError, match=r"row 6: index must be 0..15624, got .*99999"):
        read_tidy(saved(tmp_path, content))


def test_text_where_a_number_should_be_is_named(tmp_path):
    content = BASE.copy()
    content["a/12/val"] = content["a/12/val"].astype(str)
    content.loc[11, "a/12/val"] = "high"
    with pytest.raises(LabError, match="'a/12/val', cell 11: not a number: 'high'"):
        read_tidy(saved(tmp_path, content, "x.csv"))


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.csv.gz", "x.txt", "x.parquet.gz"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe\x9d", b"PAR1xxxxPAR1"])
def test_a_file_that_is_none_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabError, match="x\\."):
        read_tidy(tmp_path / name)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(LabError, match="no such file"):
        read_tidy(tmp_path / "x.parquet")
    with pytest.raises(LabError, match="a tidy table is a .parquet"):
        read_tidy(tmp_path)


def test_columns_that_say_the_same_twice_are_refused(tmp_path):
    table = BASE.copy()
    table["a/200/val@200"] = table["a/200/val"]
    with pytest.raises(LabError, match="say the same twice"):
        read_tidy(saved(tmp_path, table))
