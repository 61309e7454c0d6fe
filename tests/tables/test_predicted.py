from __future__ import annotations

import json
import re

import numpy as np
import pytest

from nasbench_lab.core import LabError, Query
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog, describe, predicted, stored

SHIPPED = ["cifar10-surrogate", "cifar100-surrogate"]
RNG = np.random.default_rng(0)


def make_networks(*, members=2, width=3, schedules=(12, 200), **about) -> predicted.Networks:
    """Random networks whose accuracies lie in the middle of the scale."""
    outputs, inputs = 2 * len(schedules), predicted.rows().shape[1]
    weights = (RNG.normal(size=(members, inputs, width)) / 20, RNG.normal(size=(members, width, outputs)) / 20)
    biases = (RNG.normal(size=(members, width)), np.full((members, outputs), -np.log(50.0)))
    seconds = np.tile(np.array([[30.0], [0], [-2], [20], [25], [10]]), len(schedules))
    return predicted.Networks(
        "made",
        {"dataset": "cifar10", "chance": 10.0} | about,
        tuple(schedules),
        tuple(each.astype(np.float32) for each in weights),
        tuple(each.astype(np.float32) for each in biases),
        seconds.astype(np.float32),
    )


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request):
    return catalog.load(request.param)


def test_the_shipped_tables_are_complete_and_say_that_they_are_predictions(shipped):
    assert shipped.measured.all()
    assert list(shipped.schedules) == [12, 200]
    assert shipped.kind == "predicted"
    assert shipped.label == f"{shipped.name} (predicted)"
    assert shipped.about["dataset"] == shipped.name.removesuffix("-surrogate")
    assert shipped.about["fitted"]["classes"] <= 2000
    assert {"title", "source", "licence", "held_out", "noise"} <= set(shipped.about)
    assert "predicted" in describe.table_facts(shipped)["cells"]
    assert "tau" in describe.table_facts(shipped)["on held-out classes"]["val 200"]


def test_they_answer_a_search_on_both_schedules(shipped):
    for epochs in (12, 200):
        result = Tabular(shipped, search=epochs).evaluate(Query(1462, epochs), 0)
        assert 0 < result.val < 100
        assert result.seconds > 0
    with pytest.raises(LabError, match="use trials='mean' and noise"):
        Tabular(shipped, trials="sample")


def test_members_of_a_class_share_their_accuracies(shipped):
    first = cell.representatives()
    for schedule in shipped.schedules.values():
        assert np.array_equal(schedule.val, schedule.val[first])
        assert np.array_equal(schedule.test, schedule.test[first])
        assert (schedule.seconds > 0).all()


def test_a_cell_through_which_nothing_passes_guesses(shipped):
    dead = ~cell.reachable().any(axis=1)
    chance = {"cifar10": 10.0, "cifar100": 1.0}[shipped.about["dataset"]]
    assert dead.any()
    assert (shipped.truth[dead] == chance).all()
    assert shipped.truth[~dead].min() > chance


def test_costs_are_the_closed_forms(shipped):
    dataset = shipped.about["dataset"]
    assert shipped.metrics["params_m"] == pytest.approx(cell.params_m(dataset))
    assert shipped.metrics["flops_m"] == pytest.approx(cell.flops_m(dataset))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_files_hold_weights_and_nothing_that_is_per_cell_or_class(name):
    with np.load(catalog.EMBEDDED / f"{name}.npz", allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    header = json.loads(arrays.pop("networks").tobytes())
    layers = len(arrays) // 2
    assert set(arrays) == {f"{kind}/{i}" for kind in ("weights", "biases") for i in range(layers)} | {"seconds"}
    widths = [predicted.rows().shape[1], *(arrays[f"weights/{i}"].shape[2] for i in range(layers))]
    members = len(arrays["weights/0"])
    for i in range(layers):
        assert arrays[f"weights/{i}"].shape == (members, widths[i], widths[i + 1])
        assert arrays[f"biases/{i}"].shape == (members, widths[i + 1])
    assert widths[-1] == 4
    assert max(*widths[1:], members) <= 64  # no layer is wide enough to remember classes one by one
    assert arrays["seconds"].shape == (6, 2)
    assert len(json.dumps(header)) < 4000


def test_both_files_together_are_at_most_3_mb():
    assert sum((catalog.EMBEDDED / f"{name}.npz").stat().st_size for name in SHIPPED) <= 3e6


def test_other_predictions_than_the_shipped_ones_are_refused_but_not_rounding_errors(shipped, monkeypatch):
    """The digest notices other predictions, however near."""
    path = catalog.find(shipped.name)
    forward = predicted._forward
    monkeypatch.setattr(predicted, "_forward", lambda networks, inputs: forward(networks, inputs) + 1e-4)
    with pytest.raises(LabError, match="predicts another table"):
        predicted.read(path)
    monkeypatch.setattr(predicted, "_forward", lambda networks, inputs: forward(networks, inputs) + 1e-15)
    assert predicted.read(path).digest == shipped.digest


def test_summing_in_another_order_gives_the_same_digest(shipped, monkeypatch):
    """Other BLAS libraries sum in another order; here the features are turned around."""
    path = catalog.find(shipped.name)
    forward = predicted._forward

    def reversed_features(networks, inputs):
        turned = (networks.weights[0][:, ::-1], *networks.weights[1:])
        return forward(predicted.Networks(**(vars(networks) | {"weights": turned})), inputs[:, ::-1])

    monkeypatch.setattr(predicted, "_forward", reversed_features)
    assert predicted.read(path).digest == shipped.digest


def test_predictions_are_those_of_the_networks():
    networks = make_networks()
    table = predicted.predict(networks)
    arch = int(np.flatnonzero(cell.reachable().any(axis=1))[7])
    x = predicted.rows()[cell.SPACE.classes[arch]]
    outputs = []
    for m in range(2):
        hidden = x @ networks.weights[0][m] + networks.biases[0][m]
        outputs.append((hidden / (1 + np.exp(-hidden))) @ networks.weights[1][m] + networks.biases[1][m])
    val12, test12, val200, test200 = 100 - np.exp(-np.mean(outputs, axis=0))
    found = [getattr(table.schedules[e], kind).ravel()[arch] for e in (12, 200) for kind in ("val", "test")]
    assert found == pytest.approx([val12, test12, val200, test200], abs=6e-4)
    counts = cell.op_counts()[arch]
    assert table.last.seconds[arch, 0] == pytest.approx(30 + counts @ [0, -2, 20, 25, 10], abs=1e-3)


def test_a_written_file_is_read_by_the_catalog(tmp_path):
    networks = make_networks(note="hello")
    path = networks.save(tmp_path / "made.npz")
    table = catalog.load(str(path))
    assert table.digest == predicted.predict(networks).digest
    assert (table.name, table.about["note"], table.kind) == ("made", "hello", "predicted")
    assert predicted.holds_networks(path)
    assert not predicted.holds_networks(catalog.find("toy"))


def test_a_prediction_can_be_saved_as_an_ordinary_table(tmp_path):
    table = predicted.predict(make_networks())
    assert stored.read(table.save(tmp_path / "plain.npz")).digest == table.digest


def rewritten(path, **changes):
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files} | changes
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})


def header(path, **changes):
    with np.load(path) as archive:
        content = json.loads(archive["networks"].tobytes()) | changes
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


DAMAGE = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "flipped": lambda path: path.write_bytes(path.read_bytes().replace(b"weights/0.npy", b"weights/9.npy")),
    "no archive": lambda path: path.write_bytes(b"no"),
    "edited weights": lambda path: rewritten(path, seconds=np.zeros((6, 2), np.float32)),
    "a layer missing": lambda path: rewritten(path, **{"weights/1": None}),
    "another format": lambda path: rewritten(path, networks=header(path, format=99)),
    "no header": lambda path: rewritten(path, networks=np.frombuffer(b"[]", np.uint8)),
    "not json": lambda path: rewritten(path, networks=np.frombuffer(b"{", np.uint8)),
    "another data set": lambda path: rewritten(path, networks=header(path, about={"dataset": "mnist", "chance": 10.0})),
    "no chance": lambda path: rewritten(path, networks=header(path, about={"dataset": "cifar10"})),
    "schedules": lambda path: rewritten(path, networks=header(path, schedules=[1, 2, 3])),
    "another digest": lambda path: rewritten(path, networks=header(path, digest="0" * 64)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_lab_errors(tmp_path, damage):
    path = make_networks().save(tmp_path / "made.npz")
    damage(path)
    with pytest.raises(LabError, match="made.npz"):
        predicted.read(path)
    with pytest.raises(LabError):
        catalog.load(str(path))


def test_an_unwritable_folder_is_a_lab_error(blocked):
    with pytest.raises(LabError):
        make_networks().save(blocked / "x.npz")


def test_they_are_listed_and_compared_as_predictions(lab, tmp_path):
    code, out, _ = lab("tables", "list")
    assert code == 0
    assert all(re.search(rf"^{name} +predicted ", out, re.MULTILINE) for name in SHIPPED)
    code, out, _ = lab("query", 6111, "--table", SHIPPED[0])
    assert (code, f"{SHIPPED[0]} (predicted)" in out) == (0, True)
    arguments = ("random_search", "--table", SHIPPED[0], "--seeds", 2, "--max-queries", 5, "--out", tmp_path)
    code, out, _ = lab("compare", *arguments)
    assert (code, f"{SHIPPED[0]} (predicted)" in out) == (0, True)
    page = (tmp_path / "leaderboard.md").read_text()
    assert f"# Search strategies on {SHIPPED[0]} (predicted)" in page
    assert "predicted" in (tmp_path / "leaderboard.csv").read_text()
