"""The commands that README shows for a table of one's own do what it says, from the file that it names."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from nasbench_lab.cli.app import app

REPOSITORY = Path(__file__).parents[1]


def test_a_table_of_ones_own_in_three_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    block = re.search(r"<!-- own-table -->\n```sh\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    commands = [shlex.split(line)[1:] for line in block[1].splitlines()]
    assert len(commands) == 3
    for words in commands:
        if words[0] == "compare":
            words += ["--seeds", "20"]  # not 50: the same in less time
        words = [str(REPOSITORY / word) if word.startswith("docs/") else word for word in words]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (result.output, result.exception)
    rows = json.loads((tmp_path / "results/mine_table/leaderboard.json").read_text())["rows"]
    assert {row["unit"] for row in rows} == {"error"}
    assert rows[0]["test_mean"] < rows[-1]["test_mean"]  # lower is better, best first
    assert (tmp_path / "results/mine_table/report.html").is_file()
