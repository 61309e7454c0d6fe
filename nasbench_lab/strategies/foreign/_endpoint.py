"""Chat completions of an OpenAI-compatible endpoint: every request has an end in bytes, seconds and attempts.

`OPENAI_BASE_URL` says where it is (http://localhost:8000/v1, say) and `OPENAI_API_KEY`, where it wants one, who asks. Both
are read when something is asked and are nowhere kept; what is shown is without the key and whatever is secret in an address.
"""

from __future__ import annotations

import base64
import os
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded

ADDRESS, KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
_LONGEST = 1 << 22  # bytes of an answer
_CHUNK = 1 << 14
_WAITS = 10.0  # seconds between two attempts at most, unless the server says how long
_SECRET = 8  # letters; a shorter key, "none" say, is a placeholder, which a reply may have as the name of an option
_SHOWN = 200  # letters of what a server says
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # another attempt may go better


class Reply(NamedTuple):
    """What was said, and the tokens that the endpoint counts for asking and saying it."""

    text: str
    tokens: int


class _Later(Exception):
    """Another attempt may go better, after so many seconds."""

    def __init__(self, why: str, seconds: float = 0.0) -> None:
        super().__init__(why)
        self.seconds = seconds


def is_there() -> bool:
    """Whether an address is given."""
    return bool(os.environ.get(ADDRESS, "").strip())


def ask(body: Mapping[str, Any], *, timeout: float, attempts: int) -> Reply:
    """The endpoint's reply to one request.

    Args:
        body: of POST /chat/completions.
        timeout: seconds of an attempt, from the look-up of the name to the last byte.
        attempts: at most, while the server is not reached, is busy or does not answer in time.

    Raises:
        LabError: no address, no proper reply, or the last attempt failed.
    """
    address = os.environ.get(ADDRESS, "").strip().rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise LabError(
            _without_secrets(f"{ADDRESS} must be the address of an OpenAI-compatible endpoint, got {address!r}")
        )
    why = ""
    for attempt in range(attempts):
        try:
            return _reply(_within(timeout, f"{address}/chat/completions", dict(body)))
        except _Later as later:
            why = str(later)
            if attempt + 1 < attempts:
                time.sleep(min(later.seconds or 0.5 * 2**attempt, max(_WAITS, min(later.seconds, timeout))))
    raise LabError(_without_secrets(f"{address} did not answer in {attempts} attempts: {why}"))


def _within(timeout: float, url: str, body: dict[str, Any]) -> bytes:
    """The request on a thread of its own, so that whatever it waits for (a name, a header, a byte) has an end."""
    done: queue.Queue[bytes | Exception] = queue.Queue(1)
    deadline = time.monotonic() + timeout

    def run() -> None:
        try:
            done.put(_posted(url, body, timeout, deadline))
        except Exception as error:  # the other thread's to judge
            done.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        found = done.get(timeout=timeout)
    except queue.Empty:
        raise _Later(f"no answer within {timeout:g} s") from None
    if isinstance(found, Exception):
        raise found
    return found


def _posted(url: str, body: dict[str, Any], timeout: float, deadline: float) -> bytes:
    import requests

    key = os.environ.get(KEY, "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with requests.post(
            url, json=body, headers=headers, stream=True, timeout=timeout, allow_redirects=False
        ) as answer:
            content = _read(answer, deadline)
            if answer.status_code in _BUSY:
                wait = answer.headers.get("Retry-After", "")
                raise _Later(f"HTTP {answer.status_code}", float(wait) if wait.isdecimal() else 0.0)
            if answer.status_code != 200:
                said = _without_secrets(content.decode(errors="replace")).strip()[:_SHOWN]
                raise LabError(_without_secrets(f"{url} answers HTTP {answer.status_code}: {said or answer.reason}"))
            return content
    except requests.RequestException as error:
        raise _Later(type(error).__name__) from error


def _read(answer: Any, deadline: float) -> bytes:
    found = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        found += chunk
        if len(found) > _LONGEST:
            raise LabError(f"the endpoint sends more than {_LONGEST:,} bytes")
        if time.monotonic() > deadline:
            raise _Later("it sends too slowly")
    return bytes(found)


def _reply(content: bytes) -> Reply:
    """The first choice of a completion.

    Raises:
        LabError: it is no completion.
    """
    try:
        message = bounded.parsed(content)
        text = message["choices"][0]["message"]["content"]
        tokens = (message.get("usage") or {}).get("total_tokens")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise LabError(f"the endpoint's answer is no chat completion: {_excerpt(content)}") from None
    if not isinstance(text, str):
        raise LabError(f"the endpoint's answer holds no text: {_excerpt(content)}")
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
        tokens = len(content) // 4  # about four letters a token
    return Reply(_without_secrets(text, least=_SECRET), tokens)  # a reply is recorded


def _excerpt(content: bytes) -> str:
    return repr(_without_secrets(content.decode(errors="replace"))[:_SHOWN])


def _without_secrets(text: str, least: int = 1) -> str:
    """A text without the key, and without what an address may hold: a name and a password, also as they are sent, and a query.

    `least`: letters of what is taken for a secret.
    """
    parts = urlsplit(os.environ.get(ADDRESS, "").strip())
    secrets = [os.environ.get(KEY, "").strip(), parts.netloc.rpartition("@")[0], parts.password or "", parts.query]
    login = ":".join(map(unquote, (parts.username or "", parts.password or "")))
    secrets += [base64.b64encode(login.encode()).decode(), unquote(parts.password or "")] if parts.password else []
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***") if len(secret) >= least else text
    return text
