"""Trials that were made elsewhere, asked for again in their order: a row beside strategies that run here.

`outside:file=trials.csv` reads a table of trials: a column for each decision of the space with the label that was chosen;
`epochs`, where a trial was ended before the highest fidelity (empty where not); `run`, 0, 1, ..., where there are several
runs, of which seed k asks for the k-th. `interop.optuna` writes one of finished studies.

Cells, epochs and order are the file's. Scores, costs, noise and what is recommended are the table's and the lab's, the same
as of any other row. Who chose these cells, and what they had seen, nobody can repeat: a board says so beside the name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from nasbench_lab.core import LabError, Query, Result, Strategy, Task
from nasbench_lab.files import bounded, paths, spreadsheet
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.decisions import listed

RUN, EPOCHS = "run", "epochs"  # columns that are no decision
_LONGEST = 1 << 26  # bytes


@dataclass
class Outside(Strategy):
    """Asks for the trials of a file; without one, as an example, for what random search would.

    Attributes:
        file: path of a CSV file; see above.
        content: SHA-256 of the file, so that another file makes other runs; not to be set.
    """

    file: str = ""
    content: str = field(init=False)

    paper = "any"

    def __post_init__(self) -> None:
        self._text = b""
        if self.file:
            path = paths.home(self.file)
            self._text = bounded.or_error(lambda found: bounded.content(found, _LONGEST), path, "a file of trials")
            if not self._text.strip():
                raise LabError(f"{self.file} has no trials")
        self.content = hashlib.sha256(self._text).hexdigest()[:16]

    def start(self, task: Task, seed: int) -> None:
        """As of any strategy; the seed says which run of the file.

        Raises:
            LabError: the file is none of trials in this space, or has no such run.
        """
        self._run = seed
        super().start(task, seed)

    def setup(self) -> None:
        self._left = self._queries()[::-1] if self.file else None

    def propose(self) -> Query | None:
        if self._left is None:
            return Query(self.design(), self.task.full)
        return self._left.pop() if self._left else None

    def observe(self, result: Result) -> None:
        pass  # what follows was chosen elsewhere

    def _queries(self) -> list[Query]:
        """The trials of this run, in their order.

        Raises:
            LabError: as `start`.
        """
        try:
            found = spreadsheet.read(self._text, rows=1 << 22, numbers=1 << 26, dtype=str, keep_default_na=False)
        except Exception as error:  # pandas raises a dozen kinds for what is no CSV
            raise LabError(f"{self.file} cannot be read as CSV: {error}"[:300]) from error
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.itertuples(index=False)]
        names = {each.name for each in self.task.space.decisions}
        if taken := names & {RUN, EPOCHS}:
            raise LabError(
                f"{self.file}: a decision of {self.task.space.name} is called {min(taken)}, as a column of trials is"
            )
        if not rows:
            raise LabError(f"{self.file} has no trials")
        runs = dict.fromkeys(str(row.get(RUN, "0")) for row in rows)
        if str(self._run) not in runs:
            raise LabError(
                f"{self.file} has no run {self._run}, which seed {self._run} asks for; it has {listed(list(runs))} "
                "(--seeds N takes runs 0 to N - 1)"
            )
        own = [(number, row) for number, row in enumerate(rows, 2) if str(row.pop(RUN, "0")) == str(self._run)]
        return [self._query(f"{self.file}, line {number}", row) for number, row in own]

    def _query(self, where: str, row: Mapping[str, str]) -> Query:
        labels = {str(name): str(label) for name, label in row.items() if name != EPOCHS}
        text = str(row.get(EPOCHS, "")).strip()
        try:
            arch = naming.of_labels(self.task.space, labels)
        except ValueError as error:
            raise LabError(f"{where}: {error}") from None
        known = {str(epochs): epochs for epochs in self.task.fidelities} | {"": self.task.full}
        if text not in known:
            allowed = ", ".join(map(str, self.task.fidelities))
            raise LabError(f"{where}: epochs must be one of {allowed}, or empty for {self.task.full}; got {text!r}")
        return Query(arch, known[text])
