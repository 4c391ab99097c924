"""The people at the other end: a mail server and a webhook on loopback that can fail in each way."""

from __future__ import annotations

import email
import email.policy
import json
import queue
import socket
import threading
from email.message import EmailMessage

from aiosmtpd.controller import Controller

FAULTS = ("refuse", "hang", "500", "slow", "drop")
"""Nobody listens · never answers · says no · answers late · goes away in the middle."""
SLOW_SECONDS = 0.4
DISCORD_ID, DISCORD_TOKEN = "123456789012", "canarytoken-of-a-webhook"


def a_closed_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Webhook:
    """Takes JSON as Discord and others do. ``fault`` may change while it runs."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.messages: queue.Queue[dict] = queue.Queue()
        self.asked = 0
        self._ending = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = a_closed_port() if fault == "refuse" else self._server.getsockname()[1]
        self.url = f"json://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self._ending.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            body = self._request(connection)
            self.asked += 1
            if self.fault == "hang":
                self._ending.wait()
            elif self.fault == "500":
                connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
            elif self.fault == "drop":
                connection.sendall(b"HTTP/1.")
            else:
                if self.fault == "slow":
                    self._ending.wait(SLOW_SECONDS)
                self.messages.put(json.loads(body))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    @staticmethod
    def _request(connection: socket.socket) -> bytes:
        head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"length" in line
        )
        while len(body) < length:
            body += connection.recv(65_536)
        return body

    def next(self, seconds: float = 10.0) -> dict:
        """Return the next message that arrives. Raises queue.Empty if none does."""
        return self.messages.get(timeout=seconds)

    def close(self) -> None:
        """Let everybody go."""
        self._ending.set()
        self._server.close()


class Mailbox:
    """Takes mail over SMTP. ``fault`` may change while it runs."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.mails: queue.Queue[EmailMessage] = queue.Queue()
        self.asked = 0
        self._controller = Controller(self, hostname="127.0.0.1", port=a_closed_port())
        self._controller.start()
        self.port = a_closed_port() if fault == "refuse" else self._controller.port
        self.url = f"mailto://127.0.0.1:{self.port}/?from=bot@example.com&to=ana@example.com"

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 as aiosmtpd calls it
        """Take a mail, or fail as asked."""
        import asyncio

        self.asked += 1
        if self.fault == "hang":
            await asyncio.sleep(3_600)
        if self.fault == "500":
            return "554 no"
        if self.fault == "drop":
            server.transport.abort()
            return "421 going"
        if self.fault == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        self.mails.put(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"

    def next(self, seconds: float = 10.0) -> EmailMessage:
        """Return the next mail that arrives. Raises queue.Empty if none does."""
        return self.mails.get(timeout=seconds)

    def close(self) -> None:
        """Let everybody go."""
        self._controller.stop()
