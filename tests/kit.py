"""The conformance kit in tests of the kit itself, and what our own plug-ins are asked all at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from nasbench_lab import imports, loading
from nasbench_lab.extras import MissingPackage
from nasbench_lab.testing.strategy_kit import CheckFailed, check_strategy

_FRESH = """
import json, sys
from nasbench_lab.loading import build
kind, *specs = sys.argv[1:]
from nasbench_lab.testing import strategy_kit, surrogate_kit
fingerprint = {"strategies": strategy_kit, "surrogates": surrogate_kit}[kind].fingerprint
print(json.dumps({spec: fingerprint(lambda: build(kind, spec)) for spec in specs}))
"""


def outcome(load, part):
    """The message of the one check whose name contains `part`; "" if it passes."""
    (check,) = [check for check in check_strategy(load) if part in check.name]
    try:
        check()
    except CheckFailed as error:
        return str(error)
    return ""


def has_what_it_needs(kind: str, spec: str) -> bool:
    """Whether the packages that a plug-in needs are installed."""
    try:
        loading.build(kind, spec)
    except MissingPackage:
        return False
    return True


def in_a_fresh_process(kind: str, specs: Sequence[str]) -> dict[str, str]:
    """The kit's fingerprints, all from one process with another PYTHONHASHSEED."""
    env = os.environ | {"PYTHONHASHSEED": "4242", "PYTHONPATH": imports.search_path()}
    command = [sys.executable, "-P", "-c", _FRESH, kind, *specs]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found
