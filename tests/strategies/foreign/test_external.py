"""A program in any language asks and is told like any strategy."""

from __future__ import annotations

import gc
import json
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import other_tables
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab import loading
from nasbench_lab.core import LabError, Query, Result, Strategy, Task
from nasbench_lab.spaces import cell, cells
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.foreign._lines import answer, hello, query_of
from nasbench_lab.strategies.foreign._program import Program
from nasbench_lab.strategies.foreign.external import External
from nasbench_lab.study import store
from nasbench_lab.study.runner import search

TASK = Task(cell.SPACE, (12, 200))
DOCS = Path(__file__).parents[3] / "docs" / "serve.md"

# Uniform cells by a linear congruential generator that every language can do, so that all must ask for the same.
PYTHON = """
import json, sys
hello = json.loads(sys.stdin.readline())
x = hello["seed"] % 10007
while True:
    x = (x * 75 + 74) % 65537
    print(json.dumps({"ask": {"arch": x % hello["size"]}}), flush=True)
    if "val" not in json.loads(sys.stdin.readline() or "{}"):
        break
"""
PERL = """
$| = 1;
<STDIN> =~ /"seed": (\\d+), "size": (\\d+)/ or die;
my ($x, $size) = ($1 % 10007, $2);
while (1) {
    $x = ($x * 75 + 74) % 65537;
    print '{"ask": {"arch": ' . ($x % $size) . "}}\\n";
    my $reply = <STDIN>;
    last if !defined($reply) or $reply !~ /"val"/;
}
"""
NODE = """
let hello = null, x = 0;
const ask = () => { x = (x * 75 + 74) % 65537; console.log(JSON.stringify({ask: {arch: x % hello.size}})); };
require("readline").createInterface({input: process.stdin}).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.hello) { hello = message; x = hello.seed % 10007; ask(); }
  else if ("val" in message) ask();
  else process.exit(0);
});
"""
AWK = """
NR == 1 { match($0, /"seed": [0-9]+/); x = substr($0, RSTART + 8, RLENGTH - 8) % 10007
          match($0, /"size": [0-9]+/); size = substr($0, RSTART + 8, RLENGTH - 8) }
/"final"/ { exit }
{ x = (x * 75 + 74) % 65537; printf "{\\"ask\\": {\\"arch\\": %d}}\\n", x % size; fflush() }
"""
PROGRAMS = {
    "python": ([sys.executable], "search.py", PYTHON),
    "perl": (["perl"], "search.pl", PERL),
    "node": (["node"], "search.js", NODE),
    "awk": (
        ["awk", *(["-W", "interactive"] if "mawk" in str(Path(shutil.which("awk") or "").resolve()) else []), "-f"],
        "search.awk",
        AWK,
    ),
}


def command(folder: Path, language: str) -> str:
    words, name, text = PROGRAMS[language]
    path = folder / name
    path.write_text(text)
    return " ".join([*words, str(path)])


def asked(strategy: Strategy, evaluator, *, seed: int = 3, queries: int = 12) -> list[int]:
    return [r.result.query.arch for r in search(strategy, evaluator, seed=seed, max_queries=queries).records]


@pytest.mark.parametrize("language", [name for name, (words, *_) in PROGRAMS.items() if shutil.which(words[0])])
def test_programs_in_several_languages_make_the_same_run(tmp_path, evaluator, language):
    ours = asked(External(command(tmp_path, language)), evaluator)
    seed = re.findall(r'"seed": (\d+)', hello_of(evaluator))[0]
    x, expected = int(seed) % 10007, []
    for _ in range(12):
        x = (x * 75 + 74) % 65537
        expected.append(x % cell.SPACE.size)
    assert ours == expected


def hello_of(evaluator) -> str:
    strategy = External()
    strategy.start(evaluator.task, 3)
    return strategy._said[0][1]


def test_a_program_has_a_row_in_a_leaderboard(tmp_path, lab):
    spec = f"external:command=({command(tmp_path, 'python')})"
    out = tmp_path / "out"
    code, text, _ = lab(
        "compare", spec, "random_search", "--table", "toy", "--seeds", 3, "--max-queries", 5, "--out", out
    )
    assert code == 0
    assert "search.py" in text
    assert lab("reproduce", out)[0] == 1  # somebody's program is not run unasked
    assert lab("reproduce", out, "--trust", spec)[0] == 0
    (tmp_path / "search.py").write_text(PYTHON.replace("* 75", "* 77"))  # another program: its runs are done anew
    assert lab("reproduce", out)[0] == 1


def test_the_program_in_the_docs_runs(tmp_path, evaluator):
    if not shutil.which("perl"):
        pytest.fail("perl is not installed")
    path = tmp_path / "docs.pl"
    path.write_text(re.findall(r"```perl\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)[0])
    assert len(set(asked(External(f"perl {path}"), evaluator))) > 8


def test_serve_ask_and_external_make_the_same_run(tmp_path, lab, monkeypatch, evaluator):
    """The same lines, by hand."""
    archs = asked(External(command(tmp_path, "python")), evaluator, queries=4)
    lines = iter([json.dumps({"ask": {"arch": arch}}) + "\n" for arch in archs] + ['{"done": true}\n'])
    monkeypatch.setattr("sys.stdin.readline", lambda *_: next(lines), raising=False)
    code, out, _ = lab(
        "serve-ask", "--table", "toy", "--seed", 3, "--max-queries", 4, "--out", tmp_path / "run.parquet"
    )
    said = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert json.loads(hello_of(evaluator))["seed"] == said[0]["seed"]
    assert [message["arch"] for message in said[1:5]] == archs
    final = said[5]["final"]
    best = max(said[1:5], key=lambda message: message["val"])
    assert final | {"test": 0} == {
        "ended": "queries",
        "queries": 4,
        "seconds": pytest.approx(sum(message["seconds"] for message in said[1:5])),
        "arch": best["arch"],
        "test": 0,
    }
    assert final["test"] == evaluator.truth(best["arch"])
    assert store.read(tmp_path / "run.parquet").columns["arch"].tolist() == archs


@pytest.mark.parametrize("name", sorted(other_tables.TABLES))
def test_all_a_program_is_told_is_larger_is_better_and_hello_says_how_to_read_it(tmp_path, lab, monkeypatch, name):
    path = tmp_path / f"{name}.npz"
    table = other_tables.TABLES[name]()
    table.save(path)
    lines = iter(['{"ask": {"arch": 1}}\n', '{"ask": {"arch": 2}}\n', '{"done": true}\n'])
    monkeypatch.setattr("sys.stdin.readline", lambda *_: next(lines), raising=False)
    code, out, _ = lab("serve-ask", "--table", path)
    said, *told, final = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert (said["unit"], said["better"], said["directions"]) == (table.unit, table.better, {"val": 1})
    val = {message["arch"]: message["val"] for message in told}
    assert final["final"]["arch"] == max(val, key=lambda arch: val[arch])
    for arch, score in val.items():
        assert said["sign"] * score == table.last.val[arch, -1]
    assert said["sign"] * final["final"]["test"] == table.last.test[final["final"]["arch"]]


def test_serve_ask_survives_what_it_cannot_read(lab, monkeypatch):
    lines = iter(
        ["nonsense\n", '{"ask": {"arch": -1}}\n', '{"ask": {"arch": 7, "epochs": 5}}\n', '{"ask": {"arch": 7}}\n', ""]
    )
    monkeypatch.setattr("sys.stdin.readline", lambda *_: next(lines), raising=False)
    code, out, _ = lab("serve-ask", "--table", "toy")
    said = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [next(iter(message)) for message in said] == ["hello", "error", "error", "error", "arch", "final"]
    assert "0..15624" in said[2]["error"]
    assert "12" in said[3]["error"]


def test_a_query_past_the_seconds_is_answered_by_the_end(lab, monkeypatch):
    lines = iter(['{"ask": {"arch": 7}}\n'] * 3)
    monkeypatch.setattr("sys.stdin.readline", lambda *_: next(lines), raising=False)
    code, out, _ = lab("serve-ask", "--table", "toy", "--max-seconds", 1)
    assert [next(iter(json.loads(line))) for line in out.splitlines()] == ["hello", "final"]


def test_pickled_mid_run_the_program_goes_on_alike(evaluator):
    strategy = External()
    strategy.start(evaluator.task, 1)
    for _ in range(10):
        strategy.tell(evaluator.evaluate(strategy.ask(), 1))
    pending = strategy.ask()
    copy = pickle.loads(pickle.dumps(strategy))
    found = []
    for one in (strategy, copy):
        one.tell(evaluator.evaluate(pending, 1))
        found.append(one.ask())
    assert found[0] == found[1]


def test_a_program_that_forgets_its_seed_cannot_be_pickled(tmp_path, evaluator):
    path = tmp_path / "search.py"
    path.write_text(PYTHON.replace('hello["seed"] % 10007', "__import__('os').getpid()"))
    strategy = External(f"{sys.executable} {path}")
    strategy.start(evaluator.task, 1)
    strategy.tell(evaluator.evaluate(strategy.ask(), 1))
    copy = pickle.loads(pickle.dumps(strategy))
    with pytest.raises(LabError, match="asks otherwise"):
        copy.ask()


def test_no_program_stays_behind(tmp_path, evaluator):
    strategy = External(command(tmp_path, "python"))
    first = asked(strategy, evaluator)
    process = strategy._program.process
    assert process.poll() is None
    assert asked(strategy, evaluator) == first
    assert process.poll() == 0  # ended when the next run started
    process = strategy._program.process
    del strategy
    gc.collect()
    assert process.poll() == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import sys; sys.exit(3)", "exit code 3"),
        ("while True: print('hm', flush=True)", "errors in a row"),
        (PYTHON.replace("while True", "for _ in range(3)"), "ended after 3 answers, without saying"),
        ("pass", "ended after 0 answers"),
        ("import os; os.close(1); import time; time.sleep(60)", "ended after 0 answers"),
        ("import time; time.sleep(60)", "says nothing for 1 s"),
        ("print('x' * 100, end='', flush=True); import time; time.sleep(60)", "says nothing for 1 s"),
        ("while True: print('x' * 9000, end='')", "a line of more than"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\n'); sys.stdout.flush(); input(); input()", "no text in UTF-8"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit code -9"),
    ],
)
def test_a_broken_program_is_told_on(tmp_path, evaluator, text, complaint):
    path = tmp_path / "broken.py"
    path.write_text(text)
    strategy = External(f"{sys.executable} {path}", timeout=1)
    begin = time.monotonic()
    with pytest.raises(LabError, match=complaint):
        asked(strategy, evaluator)
    strategy._stop()
    assert time.monotonic() - begin < 20


def test_a_program_that_reads_nothing_is_told_on(tmp_path):
    path = tmp_path / "deaf.py"
    path.write_text("import time; time.sleep(60)")
    program = Program([sys.executable, str(path)], timeout=0.5)
    with pytest.raises(LabError, match=r"reads nothing for 0\.5 s"):
        program.say("x" * (1 << 20))
    program.end()


def test_what_a_program_started_ends_with_it(tmp_path):
    program = Program(["sh", "-c", f"sleep 77 & echo $! > {tmp_path / 'pid'}; cat"], timeout=5)
    program.say("hm\n")
    assert program.line() == "hm\n"
    program.end()
    assert not running(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(not shutil.which("setpriv"), reason="the system cannot end a program with another")
def test_a_program_ends_with_the_process_that_speaks_with_it(tmp_path):
    code = (
        "import os, signal; from nasbench_lab.strategies.foreign._program import Program;"
        "program = Program(['sleep', '77'], 5); print(program.process.pid, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not running(int(done.stdout))


def running(pid: int) -> bool:
    """Whether a process is there after a moment; one that nobody has waited for does not count."""
    for _ in range(40):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True


def test_a_program_that_is_done_ends_the_run(tmp_path, evaluator):
    path = tmp_path / "short.py"
    path.write_text(PYTHON.replace("while True", "for _ in range(3)") + "print('{\"done\": true}')\n")
    run = search(External(f"{sys.executable} {path}"), evaluator, seed=0, max_queries=9)
    assert (len(run.records), run.ended) == (3, "strategy")


def test_an_unfinished_run_is_not_written(lab, monkeypatch, tmp_path):
    lines = iter(['{"ask": {"arch": 7}}\n', ""])
    monkeypatch.setattr("sys.stdin.readline", lambda *_: next(lines), raising=False)
    code, out, err = lab("serve-ask", "--table", "toy", "--out", tmp_path / "run.parquet")
    assert code == 2
    assert "unfinished" in err
    assert json.loads(out.splitlines()[-1])["final"]["ended"] == "input"
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_run_is_refused():
    with pytest.raises(LabError, match="no_such_program"):
        loading.build("strategies", "external:command=(no_such_program --fast)")
    for empty in ("", "()", "( )"):  # a variable of a shell that is not set, say: not the example under somebody's name
        with pytest.raises(LabError, match="command is empty"):
            loading.build("strategies", f"external:command={empty}")


def test_a_program_may_stand_in_its_command():
    inline = "pass  # " + "x" * 5000  # longer than any file's name
    assert External(shlex.join([sys.executable, "-c", inline])).program != External().program


@given(st.integers(0, cell.SPACE.size - 1), st.sampled_from([12, 200, None]))
def test_a_query_can_be_written_in_three_ways(arch, epochs):
    extra = {} if epochs is None else {"epochs": epochs}
    expected = Query(arch, epochs or 200)
    for asks in ({"arch": arch}, {"ops": list(cell.ops(arch))}, {"ops": cell.to_string(arch)}):
        assert query_of(json.dumps({"ask": asks | extra}), TASK) == expected


@pytest.mark.parametrize(
    "line",
    [
        "[]", "3", "{}", '{"ask": 3}', '{"ask": {}}', '{"ask": {"arch": 1, "ops": [0]}}', '{"ask": {"arch": true}}',
        '{"ask": {"arch": 1.0}}', '{"ask": {"arch": 99999}}', '{"ask": {"ops": [0, 0]}}', '{"ask": {"ops": [9, 0, 0, 0, 0, 0]}}',
        '{"ask": {"ops": "none"}}', '{"ask": {"ops": null}}', '{"ask": {"arch": 1, "epochs": 13}}', '{"ask": {"arch": 1, "epochs": null}}',
        '{"ask": {"arch": 1, "epochs": [12]}}', '{"done": false}', "",
    ],
)  # fmt: skip
def test_anything_else_is_an_error(line):
    with pytest.raises(ValueError, match=r"."):
        query_of(line, TASK)


def test_other_spaces_and_failures():
    task = Task(Space((2, 3)), (1,))
    assert query_of('{"ask": {"ops": [1, 2]}}', task) == Query(5, 1)
    assert query_of('{"done": true}', task) is None
    with pytest.raises(ValueError, match="list of 2"):
        query_of('{"ask": {"ops": "none,none"}}', task)
    told = answer(Result(Query(5, 1), float("nan"), 2.0, {"params_m": 1.0}), task.space)
    assert json.loads(json.dumps(told, allow_nan=False)) == {
        "arch": 5, "ops": [1, 2], "epochs": 1, "val": None, "seconds": 2.0, "metrics": {"params_m": 1.0},
    }  # fmt: skip


def test_options_are_told_and_asked_for_by_their_labels():
    task = Task(Space([Decision("width", (16, 64), ordered=True), Decision("act", ("relu", "tanh"))]), (1,))
    assert json.loads(json.dumps(hello(task, 0, [])))["decisions"] == [
        {"name": "width", "labels": [16, 64], "ordered": True},
        {"name": "act", "labels": ["relu", "tanh"], "ordered": False},
    ]
    assert query_of('{"ask": {"ops": {"act": "tanh", "width": 16}}}', task) == Query(1, 1)
    for wrong in ({"width": 16}, {"width": 16, "act": "tanh", "depth": 1}, {"width": 32, "act": "tanh"}):
        with pytest.raises(ValueError, match=r"width"):
            query_of(json.dumps({"ask": {"ops": wrong}}), task)


def test_cells_of_other_operations_have_strings_too():
    space = cells.make({"zero": "none", "same": "skip", "conv": "3x3"}, name="three")
    assert hello(Task(space, (1,)), 0, [])["ops"] == ["zero", "same", "conv"]
    for ops in (cells.to_string(space, 100), [str(each) for each in cells.describe(space, 100).values()]):
        text = ops if isinstance(ops, str) else ", ".join(ops)
        assert query_of(json.dumps({"ask": {"ops": text}}), Task(space, (1,))) == Query(100, 1)
