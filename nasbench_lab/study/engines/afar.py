"""How a job is called where this package may be another one or none: what goes there stands for itself until it is opened."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

_CALL = '''
def call(packed):
    """Open what was packed, and do it; of a worker that cannot, the name."""
    import pickle
    import socket
    try:
        function, job = pickle.loads(packed)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"{error} (on {socket.gethostname()})") from None
    return function(job)
'''
_namespace: dict[str, Any] = {"__name__": "__main__"}  # of which pickles hold the code, and not a name to import it by
exec(_CALL, _namespace)  # noqa: S102 - the text above
call: Callable[[bytes], Any] = _namespace["call"]


def packed(function: Callable[[Any], Any], job: Any) -> bytes:
    """What `call` takes."""
    return pickle.dumps((function, job))
