"""A bot that fell silent, orders of its account, and a channel that remembers messages."""

from __future__ import annotations

import asyncio
import contextlib
import io
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

from bot.cli.app import _guarded
from bot.core.values import Side
from bot.edge.clock import wall_ms
from bot.edge.host import boot_id
from bot.edge.venues.send import send_order
from tests.edge.worlds import RISES, Exchange, conditional, entry, spawn_exchange, stop_exchange

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 40
WARN, CANCEL = 40, 100  # seconds of silence, by the limits that hold unless told otherwise
OWN = {"BOT_DEADMAN_KEY": "deadmankey", "BOT_DEADMAN_SECRET": "deadmansecret"}


class House:
    """A folder with a bot, or what one left behind, and the commands of a person in it.

    Its exchange is the one given, or else the one that the bot embeds.
    """

    def __init__(self, folder: Path, exchange: Exchange | None = None) -> None:
        self.folder, self.state, self._exchange = folder, folder / "state.db", exchange
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        self.bot: subprocess.Popen | None = None
        self.children: list[subprocess.Popen] = []
        self.configure()

    def configure(self, **deadman) -> None:
        venue = "env = 'embedded'\n"
        if self._exchange:
            url, ws = self._exchange.url, self._exchange.ws_url
            venue = f"env = 'sim'\nrest_url = '{url}'\nws_url = '{ws}'\n"
            self.env |= OWN
        limits = "".join(f"{key} = {json.dumps(value)}\n" for key, value in deadman.items())
        (self.folder / "bot.toml").write_text(
            f"[venue]\n{venue}[exchange]\nspeed = 1\n[market]\nsymbols = ['BTCUSDT']\n"
            f"[deadman]\n{limits}"
        )

    # -- programs ----------------------------------------------------------------------------------

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

    def run(self, *args) -> subprocess.CompletedProcess:
        """A command, as a process of its own."""
        command = [sys.executable, "-m", "bot", *args]
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip

    def once(self) -> dict:
        """One look of the dead-man, in this process: its report, with the exit code."""
        args = ["deadman", "--once", "--json", "--state", str(self.state)]
        out, err, before = io.StringIO(), io.StringIO(), dict(os.environ)
        try:
            os.environ.update(self.env)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = _guarded([*args, "--config", str(self.folder / "bot.toml")])
        finally:
            os.environ.clear()
            os.environ.update(before)
        assert out.getvalue(), err.getvalue()
        return {**json.loads(out.getvalue()), "exit": code, "err": err.getvalue()}

    def until(self, holds):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := holds()):
            assert time.monotonic() < deadline, f"not in time; the bot says: {self.said()}"
            time.sleep(0.02)
        return found

    def said(self) -> str:
        path = self.folder / "bot.out"
        return path.read_text()[-1_500:] if path.exists() else "nothing"

    # -- files -------------------------------------------------------------------------------------

    @property
    def heartbeat(self) -> Path:
        return Path(f"{self.state}.heartbeat")

    def beat(self) -> dict:
        try:
            return json.loads(self.heartbeat.read_bytes())
        except (OSError, ValueError):
            return {}

    def fell_silent(self, ago_seconds: float, **fields) -> None:
        """Leave what a bot that was killed so long ago left behind."""
        self.state.touch()
        mono = time.monotonic_ns() // 1_000_000 - round(ago_seconds * 1000)
        known = {"pid": 1 << 22, "wall_ms": wall_ms(), "boot": boot_id(), "process": "RUNNING"}
        self.heartbeat.write_text(json.dumps(known | self.beat() | fields | {"mono_ms": mono}))

    def hang(self, ago_seconds: float) -> None:
        """Stop the bot where it stands, as if that had been so long ago."""
        self.bot.send_signal(signal.SIGSTOP)
        self.until(lambda: b") T " in Path(f"/proc/{self.bot.pid}/stat").read_bytes())
        self.fell_silent(ago_seconds)

    def panics(self) -> list[dict]:
        path = self.folder / "panic.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def halt(self) -> dict:
        return json.loads((self.folder / "HALT").read_bytes())

    # -- the account -------------------------------------------------------------------------------

    @property
    def exchange(self) -> Exchange:
        if self._exchange:
            return self._exchange
        return Exchange(json.loads((self.folder / "exchange.port").read_bytes()))

    def ask(self, question):
        """What a coroutine function of the open venue returns."""

        async def asked():
            async with self.exchange.venue() as venue:
                return await question(venue)

        return asyncio.run(asked())

    def open_something(self) -> None:
        """A position with a stop at the venue, a limit entry, and one that waits for a trigger."""

        async def opened(venue):
            (eth,) = await venue.instruments(["ETHUSDT"])
            mark = await venue.mark("ETHUSDT")
            stop, take = eth.round_price(mark * 0.7), eth.round_price(mark * 2)
            order = entry("0.5", "ETHUSDT", Side.BUY, stop=stop, take=take)
            assert (await send_order(venue, order)).kind == "ACK"
            resting = entry("0.5", "ETHUSDT", Side.BUY, price=eth.round_price(mark * 0.8))
            assert (await send_order(venue, resting)).kind == "ACK"
            await conditional(venue, "ETHUSDT", eth.round_price(mark * 1.5), RISES)
            return len(await venue.open_orders()), len(await venue.positions())

        orders, positions = self.ask(opened)
        assert (orders >= 2, positions >= 1) == (True, True)
        self.left = orders, positions  # the bot's own may be among them

    def clear(self) -> None:
        """Leave nothing open at the exchange."""

        async def cleared(venue):
            await venue.cancel_entries()
            for row in await venue.open_orders():
                await venue.cancel(row.order, row.symbol, row.venue_id)
            for position in await venue.positions():
                side = Side.SELL if position.qty > 0 else Side.BUY
                closing = entry(abs(position.qty), position.symbol, side, reduce_only=True)
                await send_order(venue, closing)

        self.ask(cleared)

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
        if not self._exchange:
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


@pytest.fixture(scope="module")
def shared_exchange(tmp_path_factory):
    """An exchange whose account has two keys: the bot's and the dead-man's."""
    own = json.dumps({"key": OWN["BOT_DEADMAN_KEY"], "secret": OWN["BOT_DEADMAN_SECRET"]})
    process, exchange = spawn_exchange(tmp_path_factory.mktemp("shared"), "--api-key", own)
    yield exchange
    stop_exchange(process)


@pytest.fixture
def silent(tmp_path, shared_exchange):
    """What a bot left that was killed: a heartbeat, a position under its stop, and entries."""
    house = House(tmp_path, shared_exchange)
    house.clear()
    house.fell_silent(CANCEL)
    house.open_something()
    yield house
    shared_exchange.control("clear")
    house.close()


@pytest.fixture
def hurried(monkeypatch):
    """Panic that does not wait between its attempts."""
    monkeypatch.setattr("bot.panic.PAUSE_SECONDS", 0.0)


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
