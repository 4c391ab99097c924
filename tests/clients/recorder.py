"""A loopback proxy before an exchange that writes down what its clients ask."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from decimal import Decimal, InvalidOperation
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit


class Asked(NamedTuple):
    """One request: its method, path, and fields, their values as plain text."""

    method: str
    path: str
    fields: dict[str, str]


def plain(value: Any) -> str:
    """A value without its spelling: 65000, "65000", and "65000.0" are one price."""
    if isinstance(value, bool):
        return str(value).lower()
    with contextlib.suppress(InvalidOperation):
        number = Decimal(str(value))
        return format(number.normalize(), "f") if number else "0"
    return str(value)


class Recorder:
    """Every request that passed, and the address to send requests to."""

    def __init__(self, target: str) -> None:
        self.asked: list[Asked] = []
        self._target = urlsplit(target).netloc
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                recorder.note(self, body)
                recorder.forward(self, body)

            do_GET = do_POST = handle_one  # noqa: N815 - the base class looks for these names

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def note(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(handler.path)
        fields = json.loads(body) if body else dict(parse_qsl(parts.query))
        named = {name: plain(value) for name, value in fields.items()}
        self.asked.append(Asked(handler.command, parts.path, named))

    def forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        connection = http.client.HTTPConnection(self._target, timeout=10)
        headers = {k: v for k, v in handler.headers.items() if k.lower() != "accept-encoding"}
        connection.request(handler.command, handler.path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def take(self, path: str) -> list[Asked]:
        """The requests of a path since the last call; forgets all others, too."""
        asked, self.asked = self.asked, []
        return [one for one in asked if one.path == path]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
