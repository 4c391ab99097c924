"""A real bot with its exchange, orders of its account, and a channel that remembers messages."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bot.core.values import Side
from bot.edge.venues.send import send_order
from tests.edge.worlds import Exchange, entry

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 40
LIMITS = {"warn_real_seconds": 3, "cancel_real_seconds": 5}
PATIENT = {"warn_real_seconds": 30, "cancel_real_seconds": 60}  # for a bot that beats


class House:
    """A folder with a bot, its exchange, and the commands of a dead-man with small limits."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state.db"
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        self.bot: subprocess.Popen | None = None
        self.children: list[subprocess.Popen] = []
        self.limits()

    def limits(self, **more) -> None:
        lines = [f"{key} = {json.dumps(value)}" for key, value in (LIMITS | more).items()]
        text = (
            "[exchange]\nspeed = 1\n[market]\nsymbols = ['BTCUSDT']\n[deadman]\n"
            + "\n".join(lines)
            + "\n"
        )
        (self.folder / "bot.toml").write_text(text)

    def start(self, *args, **more) -> subprocess.Popen:
        options = {"cwd": self.folder, "env": self.env, "text": True, "stdin": subprocess.DEVNULL}
        child = subprocess.Popen([sys.executable, "-m", "bot", *args], **(options | more))
        self.children.append(child)
        return child

    def start_bot(self) -> None:
        with (self.folder / "bot.out").open("w") as out:
            self.bot = self.start("run", stdout=out, stderr=out)
        self.until(
            lambda: self.beat().get("process") == "RUNNING" and self.beat()["pid"] == self.bot.pid
        )

    def kill_bot(self) -> None:
        self.bot.send_signal(signal.SIGKILL)
        self.bot.wait()

    def run(self, *args) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "bot", *args]
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip

    def once(self) -> dict:
        """One look of the dead-man: its report, with the exit code."""
        ran = self.run("deadman", "--once", "--json")
        assert ran.stdout, ran.stderr
        return {**json.loads(ran.stdout), "exit": ran.returncode, "err": ran.stderr}

    def until_stage(self, *stages: str) -> dict:
        """Look again and again until the silence has come to one of the stages."""
        return self.until(lambda: (found := self.once())["stage"] in stages and found)

    def until(self, holds):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := holds()):
            assert time.monotonic() < deadline, f"not in time; the bot says: {self.said()}"
        return found

    def said(self) -> str:
        path = self.folder / "bot.out"
        return path.read_text()[-1_500:] if path.exists() else "nothing"

    def beat(self) -> dict:
        try:
            return json.loads(Path(f"{self.state}.heartbeat").read_bytes())
        except (OSError, ValueError):
            return {}

    def panics(self) -> list[dict]:
        path = self.folder / "panic.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def halt(self) -> dict:
        return json.loads((self.folder / "HALT").read_bytes())

    # -- the account -------------------------------------------------------------------------------

    @property
    def exchange(self) -> Exchange:
        return Exchange(json.loads((self.folder / "exchange.port").read_bytes()))

    def ask(self, question):
        """What a coroutine function of the open venue returns."""

        async def asked():
            async with self.exchange.venue() as venue:
                return await question(venue)

        return asyncio.run(asked())

    def open_something(self) -> None:
        """A position with a stop at the venue, and a limit entry far from the market."""

        async def opened(venue):
            (eth,) = await venue.instruments(["ETHUSDT"])
            mark = await venue.mark("ETHUSDT")
            stop, take = eth.round_price(mark * 0.7), eth.round_price(mark * 2)
            order = entry("0.5", "ETHUSDT", Side.BUY, stop=stop, take=take)
            assert (await send_order(venue, order)).kind == "ACK"
            resting = entry("0.5", "ETHUSDT", Side.BUY, price=eth.round_price(mark * 0.8))
            assert (await send_order(venue, resting)).kind == "ACK"

        self.ask(opened)
        assert self.orders()
        assert self.positions()

    def orders(self):
        return self.ask(lambda venue: venue.open_orders())

    def positions(self):
        return self.ask(lambda venue: venue.positions())

    def close(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
            child.wait()
            if child.stdout:
                child.stdout.close()
        self.end_exchange()

    def end_exchange(self) -> None:
        """End the exchange that this bot started, by the id in its port file."""
        try:
            handle = os.pidfd_open(self.exchange.pid)
        except (OSError, ValueError):
            return
        command = Path(f"/proc/{self.exchange.pid}/cmdline").read_bytes()
        if str(self.folder).encode() in command:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.close()


@pytest.fixture
def silent_bot(house):
    """A bot with a position and an entry of its account open, killed where it stood."""
    house.start_bot()
    house.open_something()
    house.kill_bot()
    house.left = len(house.orders()), len(house.positions())  # the bot's own may be among them
    return house


class Channel:
    """Takes messages as a person's phone would; ``deaf`` answers none."""

    def __init__(self) -> None:
        self.messages: list[dict] = []
        messages = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def channel():
    made = Channel()
    yield made
    made.close()
