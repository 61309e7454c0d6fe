"""Arrays -> charts."""

from __future__ import annotations

import os
from pathlib import Path

try:
    Path.home()
except (
    RuntimeError
):  # altair asks for a home folder, for a cache, as it is imported: where there is none it gets a name
    os.environ["HOME"] = os.devnull
    import altair as altair

    del os.environ["HOME"]
