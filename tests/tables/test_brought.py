"""Tables from frames: what is read is what was there, whatever the order of rows; what cannot be meant is refused by name."""

from __future__ import annotations

import datetime
import decimal
import re
import shlex

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import LabError
from nasbench_lab.spaces import named, naming
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables import describe, stored
from nasbench_lab.tables.formats import own
from nasbench_lab.tables.formats.named_columns import Columns, joined, split
from nasbench_lab.tables.table import Table


def product(options: dict[str, list[object]]) -> pd.DataFrame:
    return pd.MultiIndex.from_product(options.values(), names=list(options)).to_frame(index=False)


def small(**columns: object) -> pd.DataFrame:
    """54 rows, four decisions, and scores."""
    frame = product(
        {"op": ["conv", "pool", "fc"], "lr": [0.1, 0.001, 0.01], "width": [16, 8], "skip": [True, False, "maybe"]}
    )
    rng = np.random.default_rng(0)
    scores = {"val": rng.uniform(10, 90, 54), "test": rng.uniform(10, 90, 54), "time": rng.uniform(1, 9, 54)}
    return frame.assign(**scores, **columns)


DECISIONS = ["op", "lr", "width", "skip"]


def made(frame: pd.DataFrame, **how: object) -> Table:
    return Table.from_frame(frame, **({"name": "mine", "decisions": DECISIONS, "val": ["val"], "test": ["test"]} | how))


@given(st.integers(0, 1000), st.sampled_from([54, 53, 20, 2]), st.sampled_from(["%", "score"]), st.booleans())
def test_every_row_is_found_again(seed, count, unit, lower):
    frame = small().sample(count, random_state=seed)
    table = made(frame, seconds="time", unit=unit, better="lower" if lower else "higher")
    assert table.space.size == count
    assert (table.space.listed is None) == (count == np.prod(table.space.options))
    for _, row in frame.iterrows():
        arch = naming.parse(table.space, ", ".join(str(row[name]) for name in DECISIONS))
        assert (table.last.val[arch, 0], table.truth[arch], table.last.seconds[arch, 0]) == (
            row["val"],
            row["test"],
            row["time"],
        )
        assert naming.parse(table.space, naming.text(table.space, arch)) == arch
    again = made(frame.sample(frac=1, random_state=seed + 1), seconds="time", unit=unit, better=table.better)
    assert again.digest == table.digest


def test_decisions_are_understood_from_their_labels():
    space = made(small()).space
    assert [(d.name, d.options, d.ordered) for d in space.decisions] == [
        ("op", ("conv", "fc", "pool"), False),
        ("lr", (0.001, 0.01, 0.1), True),
        ("width", (8, 16), True),
        ("skip", ("False", "True", "maybe"), False),
    ]
    sizes = small(size=pd.Categorical(["s", "m", "l"] * 18, categories=["s", "m", "l"], ordered=True)).drop(
        columns="op"
    )
    sizes = sizes.drop_duplicates(["size", "lr", "width", "skip"])
    ordered = made(sizes, decisions=["size", "lr", "width", "skip"]).space.decisions[0]
    assert (ordered.options, ordered.ordered) == (("s", "m", "l"), True)


def trials(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return small(**{f"t{i}": rng.normal(0, 1, 54) for i in range(count)})


def test_trials_are_split_where_there_is_no_test():
    frame = trials(4)
    table = made(frame, val=["t0", "t1", "t2", "t3"], test=[], unit="nll")
    by_cell = made(frame, val=["t0"], test=["t1"], unit="nll")
    order = [naming.parse(table.space, ",".join(str(row[d]) for d in DECISIONS)) for _, row in frame.iterrows()]
    assert table.last.val[order, 0].tolist() == frame["t0"].tolist() == by_cell.last.val[order, 0].tolist()
    assert table.truth[order] == pytest.approx(frame[["t1", "t2", "t3"]].mean(axis=1))
    assert "3 of 4: all but t0" in table.scored
    one = made(frame, val=["t0"], test=[], unit="nll")
    assert one.scored.startswith("validation")
    assert np.array_equal(one.truth, one.last.val[:, 0])
    tests = made(frame, val=[], test=["t0", "t1", "t2"], unit="nll")
    assert "test trials" in tests.scored
    assert tests.truth[order] == pytest.approx(frame[["t1", "t2"]].mean(axis=1))
    assert made(frame, val=["t0", "t1"], test=["t2"], unit="nll").scored == ""


def test_a_trial_may_be_missing_never_all():
    frame = trials(3)
    frame.loc[5, "t0"] = np.nan
    table = made(frame, val=["t0", "t1", "t2"], test=[], unit="nll")
    arch = naming.parse(table.space, ",".join(str(frame.loc[5, d]) for d in DECISIONS))
    assert (table.last.val[arch, 0], table.truth[arch]) == (frame.loc[5, "t1"], frame.loc[5, "t2"])
    frame.loc[5, "t1"] = np.nan
    with pytest.raises(LabError, match="row 6: needs two scores"):
        made(frame, val=["t0", "t1", "t2"], test=[], unit="nll")
    assert made(frame, val=["t0", "t1", "t2"], test=["test"], unit="nll").last.val[arch, 0] == frame.loc[5, "t2"]


def without(frame: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    changed = frame.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[row, column] = value
    return changed


@pytest.mark.parametrize(
    ("frame", "how", "said"),
    [
        (small(), {"decisions": ["op", "lr"]}, "row 1 and row 2 are the same configuration, op=conv, lr=0.1"),
        (pd.concat([small(), small().iloc[[3]]]), {}, "row 4 and row 55 are the same"),
        (small(), {"decisions": ["op", "depth"]}, "no column 'depth'; there are op, lr"),
        (small(), {"decisions": []}, "needs columns of decisions"),
        (small(), {"val": [], "test": []}, "validation or test scores"),
        (small(), {"val": ["test"]}, "cannot be both val and test"),
        (small(), {"seconds": "lr"}, "cannot be both decisions and seconds"),
        (without(small(), 7, "op", None), {}, "column 'op', row 8: the label is missing"),
        (without(small(), 7, "op", "  "), {}, "column 'op', row 8: the label is missing"),
        (without(small(), 7, "val", None), {}, "column 'val', row 8"),
        (without(small(), 7, "val", np.inf), {}, "row 8: 'inf' is not finite"),
        (without(small(), 7, "val", "good"), {}, "row 8: 'good' is not a number"),
        (without(small(), 7, "time", -1.0), {"seconds": "time"}, "must not be negative, got -1"),
        (without(small(), 7, "lr", np.inf), {}, "finite"),
        (small(flag=True), {"val": ["flag"]}, "true and false"),
        (small().iloc[:0], {}, "no row"),
        (small(), {"better": "more"}, "higher or lower"),
        (small(), {"unit": "%", "val": ["time"], "test": ["time2"]}, "no column 'time2'"),
        (small().assign(val=lambda f: f["val"] * 2), {"unit": "%"}, "0..100"),
        (small(), {"name": "../x"}, r"\.\."),
        (small(), {"space": named.named("fcnet")}, "fcnet has 9 decisions"),
        (small(), {"space": Space((3, 3, 2, 3))}, "has no option"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(frame, how, said):
    with pytest.raises(LabError, match=said):
        made(frame, **how)


def test_a_named_space_wants_all_of_its_cells():
    space = named.named("nas-bench-macro")
    frame = pd.DataFrame(naming.columns(space)).assign(val=np.linspace(1, 2, space.size), test=1.0)
    columns = [each.name for each in space.decisions]
    table = made(frame.iloc[::-1], decisions=columns, space=space)
    assert table.space is space
    assert np.array_equal(table.last.val[:, 0], frame["val"])
    with pytest.raises(LabError, match=r"1 of 6,561 cells of nas-bench-macro are missing, first identity, identity"):
        made(frame.iloc[1:], decisions=columns, space=space)
    with pytest.raises(LabError, match="in this order; got .*would stand for another"):
        made(frame, decisions=columns[::-1], space=space)
    chains = named.named("transnas-macro")
    wide = pd.DataFrame(naming.columns(Space(chains.decisions))).assign(val=1.0, test=1.0)
    with pytest.raises(LabError, match="transnas-macro has no cell stage_1=plain"):
        made(wide, decisions=[each.name for each in chains.decisions], space=chains)


def test_more_decisions_than_an_array_has_dimensions(tmp_path):
    """A product of them cannot be enumerated by numpy: the cells are listed, and all is as of any table."""
    names = [f"d{i}" for i in range(65)]
    frame = pd.DataFrame("x", columns=names, index=range(3)).assign(d7=[4, 2, 8], val=[3.0, 2.0, 1.0])
    table = made(frame, decisions=names, val=["val"], test=[])
    table.save(tmp_path / "mine.npz")
    again = stored.read(tmp_path / "mine.npz")
    assert again.space == table.space
    assert again.frame()["d7"].tolist() == [2, 4, 8]
    assert describe.table_facts(again)["cells"].startswith("3 of 3")
    assert describe.cell_facts("0", again)["options"]["d7"] == "2"
    with pytest.raises(LabError, match="64 decisions at most, got 65"):
        made(frame, decisions=names, val=["val"], test=[], space=Space(table.space.decisions))


@given(st.integers(0, 100), st.booleans())
def test_a_table_is_what_was_saved_of_it(tmp_path_factory, seed, part):
    frame = small().sample(30 if part else 54, random_state=seed)
    table = made(frame, seconds="time", unit="mean squared error", better="lower")
    path = table.save(tmp_path_factory.mktemp("t") / "mine.npz", compress=True)
    read = stored.read(path)
    assert (read.digest, read.space, read.unit, read.better, read.scored) == (
        table.digest, table.space, table.unit, table.better, table.scored,
    )  # fmt: skip
    assert read.frame().equals(table.frame())
    other = made(frame, seconds="time", unit="another", better="lower")
    assert other.digest != table.digest


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_order_of_a_files_labels_is_kept_where_it_has_one(tmp_path, suffix):
    sizes = pd.Categorical(["small", "large", "medium"], categories=["small", "medium", "large"], ordered=True)
    frame, path = pd.DataFrame({"size": sizes, "val": [1.0, 2.0, 3.0]}), tmp_path / f"t{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_csv(path, index=False)
    (decision,) = own.read(path, Columns("t", ("size",), ("val",), unit="points"))[0].space.decisions
    assert decision.ordered == (suffix == ".parquet")
    assert decision.options == (("small", "medium", "large") if decision.ordered else ("large", "medium", "small"))


def test_columns_of_other_kinds_do_no_harm_and_dates_and_decimals_are_read(tmp_path):
    made = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)
    columns = {
        "day": [made.date(), made.date() + datetime.timedelta(days=1)],
        "made": [made, made],
        "taken": [datetime.timedelta(seconds=5), None],
        "layers": [[1, 2], [3]],
        "weights": [b"ab", b"c"],
        "val": [decimal.Decimal("1.50"), decimal.Decimal("2.25")],
    }
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path)
    table = own.read(path, Columns("t", ("day",), ("val",), unit="points"))[0]
    assert table.space.decisions[0].options == ("2026-11-30", "2026-12-01")
    assert table.last.val[:, -1].tolist() == [1.5, 2.25]
    for name, kind in (("layers", "list<"), ("weights", "binary"), ("taken", "duration")):
        with pytest.raises(LabError, match=rf"column '{name}' holds {kind}.*, which is not read"):
            own.read(path, Columns("t", (name,), ("val",), unit="points"))


def test_parts_of_a_file_that_order_labels_in_two_ways_are_refused(tmp_path):
    schema = pa.schema([("size", pa.dictionary(pa.int8(), pa.string(), ordered=True)), ("val", pa.float64())])
    with pq.ParquetWriter(tmp_path / "t.parquet", schema) as writer:
        for labels in (["s", "m"], ["m", "s"]):
            column = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), labels, ordered=True)
            writer.write_table(pa.table({"size": column, "val": [1.0, 2.0]}, schema=schema))
    with pytest.raises(LabError, match="'size' is ordered, but its parts do not agree"):
        own.read(tmp_path / "t.parquet", Columns("t", ("size",), ("val",), unit="points"))


@given(st.lists(st.text("ab, \"'").map(str.strip).filter(bool), min_size=1, max_size=4))
def test_names_of_columns_are_told_apart_whatever_they_hold(names):
    assert split(joined(names)) == tuple(names)


def test_what_is_proposed_for_a_name_with_a_comma_can_be_run(tmp_path, lab):
    frame = small().rename(columns={"op": "op, first"})
    frame.to_csv(tmp_path / "t.csv", index=False)
    code, _, said = lab("tables", "import", tmp_path / "t.csv")
    assert code == 2
    words = shlex.split(said[said.index("nasbench-lab tables import") :].splitlines()[0])[1:]
    assert lab(*words, "--out", tmp_path)[0] == 0
    assert stored.read(tmp_path / "t.npz").space.decisions[0].name == "op, first"


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("3_1 3_2 5_1", ("3_1", "3_2", "5_1")),  # Python would read 31, 32, 51
        ("007 010 011", ("007", "010", "011")),
        ("٣ ٤ ٥", ("٣", "٤", "٥")),
        ("3 +2 10", (2, 3, 10)),
        (".1 1e-2 1", (0.01, 0.1, 1.0)),
        ("1.0 2.0 10.0", (1.0, 2.0, 10.0)),
        ("1 x 10", ("1", "10", "x")),
        ("nine true 1e5", ("1e5", "nine", "true")),
    ],
)
def test_labels_of_a_file_are_numbers_only_where_people_write_numbers_so(written, options, tmp_path):
    labels = written.split()
    path = tmp_path / "mine.csv"
    path.write_text("a,acc\n" + "".join(f"{label},{i}\n" for i, label in enumerate(labels)), encoding="utf-8")
    table, _ = own.read(path, Columns(decisions=("a",), val=("acc",), name="mine"))
    (decision,) = table.space.decisions
    assert decision.options == options
    assert decision.ordered == (not isinstance(options[0], str))
    for i, label in enumerate(labels):
        assert table.last.val[naming.of_labels(table.space, {"a": label}), 0] == i


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a;b;acc\n1;x;2\n2;x;3\n", "separated by ';'"),
        (b"a\tb\tacc\n1\tx\t2\n", "separated by '\\t'"),
        (b"a;acc\n1;2,5\n2;3,5,1\n", "fields separated by commas"),
        ("a,acc\n1,2\n".encode("utf-16"), "UTF-8"),
    ],
)
def test_a_file_that_is_no_csv_of_commas_is_told_what_one_is(content, said, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(LabError, match=re.escape(said)):
        own.read(path, Columns(decisions=("a",), val=("acc",), name="mine"))


@pytest.mark.parametrize("size", [1e-101, 1e-301])
def test_scores_whose_squares_vanish_are_refused(size):
    frame = pd.DataFrame({"a": [1, 2, 3], "acc": [size, 2 * size, 0.0]})
    with pytest.raises(LabError, match="another unit"):
        Table.from_frame(frame, name="mine", decisions=["a"], val=["acc"])
