"""The alert that depends on nothing: it tells through channels of its own, or says that it has none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "alert.py"
ENDED = {
    "MONITOR_SERVICE_RESULT": "watchdog",
    "MONITOR_EXIT_CODE": "killed",
    "MONITOR_EXIT_STATUS": "ABRT",
}


@pytest.fixture
def webhook():
    """A real server that keeps what it is sent, and its address as Apprise writes it."""
    heard: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"json://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    thread.join()
    server.server_close()


def told_of(unit, folder):
    """Run the script as the unit does: nothing of the bot can be imported."""
    return subprocess.run(
        [sys.executable, SCRIPT, unit],
        cwd="/",
        env={"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": str(folder), **ENDED},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_channel_of_its_credential_is_told_what_failed_and_how(webhook, tmp_path):
    url, heard = webhook
    (tmp_path / "alert_urls").write_text(f"{url}/a\n{url}/b\n")
    done = told_of("trading-bot.service", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [message["title"] for message in heard] == ["trading-bot.service has failed"] * 2
    said = heard[0]["message"]
    assert "result watchdog, ended killed, status ABRT" in said
    assert "journalctl -u trading-bot.service" in said


def test_a_channel_that_does_not_take_it_is_a_failure_and_the_others_are_told(webhook, tmp_path):
    url, heard = webhook
    (tmp_path / "alert_urls").write_text(f"json://127.0.0.1:1 nonsense {url}")
    done = told_of("trading-bot.service", tmp_path)
    assert done.returncode == 1
    assert "not every one of 3 channels took the alert" in done.stderr
    assert len(heard) == 1


def test_without_a_credential_it_says_so(tmp_path):
    done = told_of("trading-bot.service", tmp_path)
    assert done.returncode == 0
    assert done.stderr == "trading-bot.service: nobody is told: there is no credential alert_urls\n"
