"""Charts are drawn where no home folder is known, and `~` stays unknown there."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, pwd
os.environ.pop("HOME", None)
def getpwuid(number):
    raise KeyError(number)
pwd.getpwuid = getpwuid
from nasbench_lab.plots import fronts
print(os.path.expanduser("~"), "HOME" in os.environ)
"""


def test_charts_need_no_home():
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=100)
    assert (ended.returncode, ended.stdout.split()) == (0, ["~", "False"]), ended.stderr
