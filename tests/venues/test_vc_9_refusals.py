"""Contract VC-63: a whole bot with a key that may not trade, or on the wrong account, ends with 78."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edge.worlds import spawn_exchange, stop_exchange

DAY_MS = 86_400_000
KEYS = {
    "withdraw": ({"withdraw": True}, "expected a key that cannot withdraw"),
    "readonly": ({"read_only": True}, "expected a key that may trade, found one that is read-only"),
    "norights": ({"trade": False}, "expected the rights ContractTrade:Order"),
    "today": ({"expires_ms": DAY_MS}, "expected a key that is good for a day or more, found its end"),
    "ended": ({"expires_ms": 1}, "expected one that the venue accepts, found: "),
    "elsewhere": ({"ips": ["203.0.113.7"]}, "expected one that the venue accepts, found: "),
    "account": ({}, "venue.account: expected 1 (exchange), found 24617703"),
}  # fmt: skip


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    """What each bot said and how it ended; they run side by side on one exchange."""
    process, exchange = spawn_exchange(tmp_path_factory.mktemp("venue"), "--speed", "1")
    bots = {}
    try:
        market_ms = exchange.control("state")["market_ms"]
        for name, (rights, _) in KEYS.items():
            if name == "today":
                rights = {"expires_ms": market_ms + DAY_MS // 2}
            exchange.control("key", key=f"key-{name}", secret="s", **rights)
            bots[name] = start_bot(tmp_path_factory.mktemp(name), exchange, name)
        yield {name: (*bot.communicate(timeout=60), bot.returncode) for name, bot in bots.items()}
    finally:
        for bot in bots.values():
            bot.kill()
            bot.wait()
        stop_exchange(process)


def start_bot(folder, exchange, name) -> subprocess.Popen:
    account = "24617703" if name == "account" else ""
    (folder / "bot.toml").write_text(
        f'[venue]\nenv = "sim"\naccount = "{account}"\n'
        f'rest_url = "{exchange.url}"\nws_url = "{exchange.ws_url}"\n'
    )
    environment = {**os.environ, "BOT_VENUE_KEY": f"key-{name}", "BOT_VENUE_SECRET": "s"}
    environment["PYTHONPATH"] = str(Path.cwd())
    return subprocess.Popen(
        [sys.executable, "-m", "bot", "run", "--for", "40s"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("name", KEYS)
def test_vc63_a_bot_that_may_not_trade_says_why_and_does_not_come_back(refusals, name):
    said, _, code = refusals[name]
    lines = [json.loads(line).get("said", "") for line in said.splitlines()]
    sentences = [line for line in lines if line.startswith("refused: ")]
    assert (code, len(sentences)) == (78, 1), said
    assert KEYS[name][1] in sentences[0]
