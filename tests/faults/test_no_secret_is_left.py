"""A whole life with deaths, alerts, and refusals leaves no secret in any file, output, or message.

The exchange's own files may name the key, which is how a venue knows an account; a secret may be
in none. The credential files themselves lie in a folder of their own.
"""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.desk.files import heartbeat
from bot.desk.metrics import METRICS
from tests.cli.conftest import COMMAND, ENV
from tests.faults.places import Place, toml, until

KEY, SECRET, PASSWORD = "fake-canary-key", "fake-canary-secret", "fake-canary-password"
KILLS = 3
SHOWN = (
    *(("status", "--json"), ("metrics",), ("config", "show"), ("config", "explain", "venue.key")),
    *(("backup",), ("query", "select * from journal", "--json")),
)
OF_SOME = {"bot_position_stop_held", "bot_backup_age_seconds", "bot_model_age_seconds"}
"""Told only where there is an open position, a backup, a model."""
ALWAYS = set(METRICS) - OF_SOME


def spelled(secret):
    """Return every way in which a secret may be written down."""
    raw = secret.encode()
    yield from (raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"="), raw[::-1])
    yield from (quote(secret, safe="").encode(), secret.lower().encode())
    yield base64.b64encode(f"anna:{secret}".encode()).rstrip(b"=")


def found_in(data, *secrets):
    return [secret for secret in secrets if any(way in data for way in spelled(secret))]


class Hook(ThreadingHTTPServer):
    """A webhook on loopback that keeps what it is sent."""

    def __init__(self):
        self.messages, self.logins = [], set()
        super().__init__(("127.0.0.1", 0), Taker)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Taker(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.logins.add(self.headers["Authorization"])
        del self.headers["Authorization"]  # the channel knows its own password
        self.server.messages.append(bytes(self.headers) + body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


class Life:
    """A bot that trades with canaries for secrets, and all that it shows of itself."""

    def __init__(self, tmp_path, hook):
        self.credentials = tmp_path / "credentials"
        self.credentials.mkdir()
        self.place = Place(tmp_path / "p", {"exchange": {"speed": 300, "seed": 7}})
        self.shown, self.scraped, self.hook = [], set(), hook

    def configure(self, url):
        password = f"json://anna:{PASSWORD}@127.0.0.1:{self.hook.server_port}/hook"
        files = {"key": KEY, "secret": SECRET, "urls": password}
        for name, text in files.items():
            (self.credentials / name).write_text(text)
            (self.credentials / name).chmod(0o400)
        venue = {"env": "sim", "rest_url": url, "ws_url": url.replace("http", "ws", 1)}
        venue |= {f"{name}_file": str(self.credentials / name) for name in ("key", "secret")}
        notify = {"urls_file": str(self.credentials / "urls")}
        metrics = {"textfile": "bot.prom", "every_real_seconds": 1}
        more = {"venue": venue, "notify": notify, "metrics": metrics}
        more["alerts"] = {"severity_min": "info"}
        self.place.file.write_text(toml({**self.place.config, **more}))

    def start(self):
        bot = self.place.start_bot("--config", str(self.place.file))
        until(lambda: self.beats(bot.pid), lambda: f"it runs; {self.place.said()[-800:]}", 40)
        for name in ("cmdline", "environ"):
            self.shown.append(Path(f"/proc/{bot.pid}/{name}").read_bytes())
        return bot

    def beats(self, pid):
        sign = heartbeat(self.place.state)
        return sign and sign.pid == pid and sign.fields.get("process") == "RUNNING"

    def run(self, *command):
        done = subprocess.run(
            [*COMMAND, *command],
            cwd=self.place.folder,
            env=ENV,
            capture_output=True,
            check=False,
            timeout=60,
        )
        self.shown += [done.stdout, done.stderr]
        assert done.returncode == 0, (command, done.stderr)

    def look(self):
        """Note the names in the text file, as Prometheus reads them."""
        path = self.place.folder / "bot.prom"
        text = path.read_text() if path.exists() else ""
        for family in text_string_to_metric_families(text):
            self.scraped |= {family.name, f"{family.name}_total"} & set(METRICS)
        return self.scraped >= ALWAYS

    def journal(self, kind):
        return self.place.rows("SELECT body FROM journal WHERE kind = ?", kind)

    @property
    def log(self):
        return [json.loads(line) for line in self.place.said().splitlines()]

    def files(self):
        """Yield every file of the folder, below its path, with its bytes."""
        for path in self.place.folder.rglob("*"):
            if path.is_file():
                yield str(path.relative_to(self.place.folder)), path.read_bytes()


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    with Hook() as hook:
        life = Life(tmp_path_factory.mktemp("canary"), hook)
        url = life.place.start_exchange("--key", KEY, "--secret", SECRET)
        life.configure(url)
        place = life.place
        try:
            for _ in range(KILLS):
                bot = life.start()
                place.do("rearm")  # refused, or what a kill of an earlier life needs
                place.ask("kill")
                place.until_state("kill", "LATCHED")
                bot.send_signal(signal.SIGKILL)
                bot.wait()
            bot = life.start()
            told = place.do("rearm")
            assert told["state"] == "DONE", told
            until(lambda: place.rows("SELECT 1 FROM fill"), "an order is filled", 30)
            place.control("key", key=KEY, secret="wrong")  # so that its refusals quote the key
            until(lambda: life.journal("VenueTroubled"), "the venue refuses the key", 30)
            place.control("key", key=KEY, secret=SECRET)
            until(life.look, lambda: f"all is told but {ALWAYS - life.scraped}", 20)
            place.ask("hold")
            place.until_state("hold", "HELD")
            for command in SHOWN:
                life.run(*command)
            place.ask("stop")
            life.code = bot.wait(60)
            yield life
        finally:
            place.close()
            hook.shutdown()


def test_no_file_and_no_page_holds_one(life):
    searched, hits = [], []
    for name, data in life.files():
        searched.append(name)
        secrets = (SECRET, PASSWORD) if name.startswith("exchange.") else (KEY, SECRET, PASSWORD)
        hits += [(name, secret) for secret in found_in(data, *secrets)]
    assert hits == []
    assert {"state.db", "state.db-wal", "state.db.heartbeat", "bot.out", "bot.prom"} <= set(
        searched
    )
    assert {"exchange.db", "exchange.db.log", "exchange.out"} <= set(searched)
    assert any(name.startswith("backups/") for name in searched)
    assert life.place.rows("SELECT 1 FROM snapshot LIMIT 1", alive=False), "the world, too"


def test_no_output_no_command_line_and_no_environment_holds_one(life):
    assert len(life.shown) == 2 * (KILLS + 1) + 2 * len(SHOWN)
    assert [found_in(data, KEY, SECRET, PASSWORD) for data in life.shown] == [[]] * len(life.shown)


def test_no_message_holds_one(life):
    assert life.hook.messages, "people were told"
    assert any(b"kill" in message for message in life.hook.messages)
    for message in life.hook.messages:
        assert found_in(message, KEY, SECRET, PASSWORD) == []


def test_the_canaries_were_in_use(life):
    """What is looked for was there to be found: a key that trades, a login, a quoted key."""
    assert life.place.rows("SELECT count(*) FROM fill", alive=False) > [(0,)]
    (login,) = life.hook.logins
    assert base64.b64decode(login.removeprefix("Basic ")).decode() == f"anna:{PASSWORD}"
    troubled = life.place.rows("SELECT body FROM journal WHERE kind = 'VenueTroubled'", alive=False)
    assert any("(hidden)" in body for (body,) in troubled), "the venue quoted the key"


def test_the_log_has_a_line_for_each_transition_of_a_life_that_ended_well(life):
    assert life.code == 0, life.place.said()[-2000:]
    started = max(n for n, line in enumerate(life.log) if line.get("dest") == "BOOT")
    lines = [line for line in life.log[started:] if "machine" in line]
    stored = life.place.rows(
        "SELECT id, seq, at, machine, key, source, dest, reason, lower(hex(substr(hash, 1, 6)))"
        " FROM transition WHERE id >= ? ORDER BY id",
        lines[0]["id"],
        alive=False,
    )
    fields = ("id", "seq", "at", "machine", "key", "source", "dest", "reason", "head")
    told = {line["id"]: tuple(line[name] for name in fields) for line in lines}
    repeated = sum(line.get("repeated", 0) for line in life.log[started:])
    assert all(told[row[0]] == row for row in stored if row[0] in told)
    assert len(told) + repeated >= len(stored)
    assert any(line.get("said") == "ended" for line in life.log[started:])
    assert [line for line in life.log if line.get("refused")], "refusals are lines"


def test_every_metric_was_told_by_the_running_bot(life):
    assert life.scraped >= ALWAYS
