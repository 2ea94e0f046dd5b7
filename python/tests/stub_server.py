# SPDX-License-Identifier: Apache-2.0
"""An OpenAI-compatible server that says what a test wants, good or bad."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

from support import Case


class Server(http.server.ThreadingHTTPServer):
    """Replies by a function of the number of the request; remembers what it was asked."""

    daemon_threads = True

    def __init__(self, reply: Callable[[int, "Handler"], Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply = reply
        self.asked: list[tuple[str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers.items()), body))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            reply = self.server.reply(len(self.server.asked) - 1, self)
            if isinstance(reply, str):
                chat = self.path.endswith("/chat/completions")
                choice = {"message": {"role": "assistant", "content": reply}} if chat else {"text": reply}
                self.send(200, json.dumps({"choices": [{"index": 0, **choice}]}).encode())

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused: Any) -> None:
        pass


class Served(Case):
    def serve(self, reply: Callable[[int, Handler], Any]) -> Server:
        server = Server(reply)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server
