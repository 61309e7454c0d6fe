"""Files of torch, new and old: tensors become arrays, all else is refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from official_data import torch_saved

from nasbench_lab.core import LabError
from nasbench_lab.tables.formats import torch_file


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_become_arrays(tmp_path, legacy):
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    content = {"whole": base, "part": base.t()[1:3, ::2], "half": torch.ones(3, dtype=torch.float16), "flags": torch.tensor([True, False]),
               "none": torch.empty(0, 5), "scalar": torch.tensor(7), "nested": [1, {"a": torch.tensor([1, 2], dtype=torch.uint8)}],
               "weight": torch.nn.Parameter(torch.zeros(2))}  # fmt: skip
    found = torch_file.load(torch_saved(tmp_path / "x.pth", content, legacy=legacy))
    for name in ("whole", "part", "half", "flags", "none", "scalar", "weight"):
        wanted = content[name].detach().numpy()
        assert (found[name].shape, found[name].dtype) == (wanted.shape, wanted.dtype)
        assert np.array_equal(found[name], wanted)
    assert found["nested"][0] == 1
    assert found["nested"][1]["a"].tolist() == [1, 2]


@pytest.mark.parametrize("legacy", [False, True])
def test_modules_and_other_objects_are_refused_by_name(tmp_path, legacy):
    torch = pytest.importorskip("torch")
    path = torch_saved(tmp_path / "x.pth", torch.nn.Linear(2, 2), legacy=legacy)
    with pytest.raises(LabError, match=r"asks for 'torch\.nn\.modules\.linear\.Linear'"):
        torch_file.load(path)


def test_damaged_files_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    for legacy in (False, True):
        whole = torch_saved(tmp_path / "x.pth", {"a": torch.arange(1000)}, legacy=legacy).read_bytes()
        for cut in (0, 10, 100, len(whole) // 2, len(whole) - 5):
            (tmp_path / "y.pth").write_bytes(whole[:cut])
            with pytest.raises(LabError, match="y.pth"):
                torch_file.load(tmp_path / "y.pth")
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"(" * 50_000_000)
    with pytest.raises(LabError, match="unpacks to more"):
        torch_file.load(tmp_path / "bomb.pth")
    with zipfile.ZipFile(tmp_path / "empty.pth", "w") as archive:
        archive.writestr("x/other", b"")
    with pytest.raises(LabError, match="no data.pkl"):
        torch_file.load(tmp_path / "empty.pth")


def test_a_tensor_stays_inside_its_storage():
    storage = np.arange(10.0)
    for offset, size, stride in ((0, (11,), (1,)), (5, (6,), (1,)), (0, (2, 6), (5, 1)), (-1, (2,), (1,)), (0, (2,), (-1,)),
                                 (0, (2,), ()), (0, (2**40,), (1,)), (11, (1,), (1,))):  # fmt: skip
        with pytest.raises(ValueError, match="tensor"):
            torch_file._tensor(None, storage, offset, size, stride)
    assert torch_file._tensor(None, storage, 1, (2, 3), (4, 1)).tolist() == [[1, 2, 3], [5, 6, 7]]
    assert torch_file._tensor(None, storage, 0, (0, 2**62), (1, 1)).size == 0
