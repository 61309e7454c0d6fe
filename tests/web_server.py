"""A web server on localhost for tests of downloads."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """A web server on localhost whose files and manners a test sets."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.manners: list[str] = []  # of the next requests: "die", "hang", "break", else proper
        self.asked: list[str] = []
        self.half_sent, self.go_on = threading.Event(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/data/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.removeprefix("/data/")
        self.asked.append(name)
        content, manner = self.files.get(name), self.manners.pop(0) if self.manners else ""
        if content is None or manner == "break":
            request.send_error(404 if content is None else 503)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2] if manner else content)
        if manner == "hang":
            request.wfile.flush()
            self.half_sent.set()
            self.go_on.wait(20)

    def close(self) -> None:
        self.go_on.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
