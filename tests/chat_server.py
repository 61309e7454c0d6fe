"""An endpoint on localhost that speaks the chat protocol, for tests of search by a language model."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

KEY = "sk-very-secret"


class Model:
    """An endpoint. What it says is decided by what it is sent: a neighbour of the first configuration that it is shown."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.manners: list[
            object
        ] = []  # of the next requests: a status, a text that is said, bytes that are sent, seconds of silence
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        assert request.path == "/v1/chat/completions"
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.bodies.append(body)
        manner = self.manners.pop(0) if self.manners else None
        if isinstance(manner, float):
            time.sleep(manner)
        status = manner if isinstance(manner, int) else 200
        text = manner if isinstance(manner, str) else advice(body)
        content = {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": {"total_tokens": 100}}
        raw = (
            manner
            if isinstance(manner, bytes)
            else json.dumps(content if status == 200 else {"error": f"{KEY} may not"}).encode()
        )
        with suppress(ConnectionError):  # whoever asked has left
            request.send_response(status)
            request.send_header("Content-Length", str(len(raw)))
            request.end_headers()
            request.wfile.write(raw)


def decisions_of(body: dict) -> dict[str, list[str]]:
    lines = re.findall(r'^- ("(?:[^"\\]|\\.)*"): one of[^\[]*(\[.*\])$', body["messages"][0]["content"], re.M)
    return {json.loads(name): json.loads(options) for name, options in lines}


def advice(body: dict) -> str:
    """As many configurations as asked for: what was shown first, with an option changed, more of them when it is asked again."""
    options = decisions_of(body)
    rng = np.random.default_rng([body["seed"], len(json.dumps(body))])
    shown = re.search(r"^(\{.*\}): ", body["messages"][1]["content"], re.M)
    count = re.search(r"Name (\d+) different", body["messages"][-1]["content"])
    said = []
    for _ in range(int(count[1]) if count else 1):
        each = json.loads(shown[1]) if shown else {name: labels[0] for name, labels in options.items()}
        for name in rng.choice(list(options), size=min(len(options), len(body["messages"]) // 2), replace=False):
            each[name] = options[name][rng.integers(len(options[name]))]
        said.append(each)
    return json.dumps(said)
