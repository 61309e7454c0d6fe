from __future__ import annotations

import os

import pytest
from conftest import make_table

from nasbench_lab.core import LabError
from nasbench_lab.files import writing
from nasbench_lab.tables import catalog


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path / "chosen", tmp_path / "share" / "nasbench_lab"


def test_tables_are_found_by_path_then_chosen_folder_then_users_then_embedded(folders):
    assert catalog.load("toy").kind == "synthetic"
    for i, folder in enumerate(reversed(folders), start=1):
        make_table("toy", seed=i).save(folder / "toy.npz")
        assert catalog.find("toy") == folder / "toy.npz"
        assert catalog.load("toy").digest == make_table("toy", seed=i).digest
    assert catalog.load(str(folders[1] / "toy.npz")).digest == make_table("toy", seed=1).digest
    assert catalog.available()["toy"] == folders[0] / "toy.npz"
    assert catalog.target_folder() == folders[0]


def test_without_the_variable_imports_go_to_the_users_folder(folders, monkeypatch):
    monkeypatch.delenv("NASBENCH_LAB_DATA")
    assert catalog.target_folder() == folders[1] == writing.user_folder()
    monkeypatch.setenv("NASBENCH_LAB_DATA", "")
    assert catalog.target_folder() == folders[1]


def test_a_path_in_the_working_folder_is_a_path(folders, monkeypatch):
    path = make_table("mine").save(folders[0] / "mine.npz")
    monkeypatch.chdir(path.parent)
    assert catalog.find("mine.npz") == path.resolve()


def test_temporary_files_are_no_tables(folders):
    folders[0].mkdir()
    (folders[0] / ".toy.npz.abc.tmp").write_bytes(b"half")
    assert "toy" in catalog.available()
    assert all(not name.startswith(".") for name in catalog.available())


def test_what_is_not_there_is_told_with_what_is_and_where_it_was_looked_for(folders):
    with pytest.raises(LabError) as error:
        catalog.load("tyo")
    for part in ("no table named 'tyo'", "did you mean toy?", "Available:", str(folders[0]), "tables import"):
        assert part in str(error.value)
    for name in ("no.npz", "no/such", "", "/"):
        with pytest.raises(LabError, match="no (such )?table"):
            catalog.load(name)


def test_a_table_is_read_once_until_its_file_changes(folders):
    path = make_table("mine").save(folders[0] / "mine.npz")
    first = catalog.load("mine")
    assert catalog.load(str(path)) is first
    make_table("mine", seed=1).save(path)
    os.utime(path, (1, 1))
    assert catalog.load("mine").digest != first.digest


def test_the_default_is_a_table_of_the_package():
    assert catalog.load(catalog.default())


def test_the_suite_is_the_measured_tables_of_the_package_digits_first():
    names = catalog.suite()
    assert names[0] == catalog.default() == "digits"
    assert all(catalog.find(name).parent == catalog.EMBEDDED for name in names)
    assert {name for name in catalog.available() if catalog.load(name).kind == "measured"} >= set(names)
    assert not {"toy", "cifar10-surrogate"} & set(names)
