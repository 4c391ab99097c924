"""Figures ``alerts``: an alert's event → its arrival, with one channel down; and what that costs the loop.

Real mail over SMTP on loopback beside a webhook that takes requests and never answers, both in a
process of their own. The delays are those of the view ``alert_delays``; the loop's lag is compared
with the same alerts to the same channels that arrive at once, unsent: the same rows are written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.core.events import VenueTroubled
from bot.core.settings import Settings, with_value
from bot.edge.notify import Notifier
from tests.bench.figures import Figure, middle, percentile, say, spread
from tests.bench.rig import folder
from tests.outbox import Outbox
from tests.people import Mailbox, Webhook

ALERTS, EACH_SECONDS, PROBE_SECONDS, ROUNDS = 40, 0.2, 0.005, 3
LAST_SECONDS = 60.0
GOAL_MS, LAG_GOAL = 5_000.0, 2.0
SENT = "SELECT count(*) FROM alert_delays WHERE channel LIKE 'mailto%' AND state = 'SENT'"


class Unsent(Notifier):
    """The same channels, at which everything arrives at once."""

    async def open(self) -> None:
        """Load nothing."""

    async def send(self, *message: Any) -> None:
        """Send nothing."""


@contextlib.contextmanager
def people() -> Iterator[tuple[str, str]]:
    """Yield the addresses of a webhook that hangs and of a mailbox, in a process of their own."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.alerts"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        hook, mailbox = json.loads(process.stdout.readline())
        yield hook, mailbox
        process.stdin.close()


def measure() -> list[Figure]:
    """Return the delays of a healthy channel beside a dead one, and the ratio of the loop's lag."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with people() as urls:
        return asyncio.run(_measure(urls))


async def _measure(urls: tuple[str, str]) -> list[Figure]:
    delays: list[float] = []
    ratios, lags = [], []
    for n in range(ROUNDS):
        say(f"alerts: round {n + 1} of {ROUNDS}")
        with folder() as where:
            alone, _ = await _round(where / "alone", Unsent(urls))
            beside, found = await _round(where / "beside", Notifier(urls))
        delays += found
        ratios.append(percentile(beside, 0.99) / percentile(alone, 0.99))
        lags += beside
    how = f"event → SENT by mail while a webhook hangs; {len(delays)} alerts, {1 / EACH_SECONDS:g} a second"
    note = [spread(delays, by=1), f"lag of the loop meanwhile: {spread(lags)}"]
    lag = (
        "p99 lag of the loop while they leave ÷ the same alerts arriving at once, median of rounds"
    )
    return [
        Figure("alerts.p99", percentile(delays, 0.99), "ms", GOAL_MS, how, note=note),
        Figure("alerts.lag", middle(ratios), "×", LAG_GOAL, lag),
    ]


async def _round(path: Path, notifier: Notifier) -> tuple[list[float], list[float]]:
    """Return the lags of the loop (ns), and the delays of what arrived (ms)."""
    box = Outbox(path, notifier, with_value(Settings(), "alerts.storm_max", 1000))
    await notifier.open()
    box.open()
    lags: list[float] = []
    probe = asyncio.create_task(_probe(lags))
    for n in range(ALERTS):
        box.say(VenueTroubled(at=box.world.at, kind="unseen code", reason=f"code {n}"))
        box.tick(EACH_SECONDS)
        await asyncio.sleep(EACH_SECONDS)
    probe.cancel()
    deadline = time.monotonic() + LAST_SECONDS
    while notifier.first and box.row(SENT) != (ALERTS,) and time.monotonic() < deadline:
        box.tick(EACH_SECONDS)
        await asyncio.sleep(EACH_SECONDS)
    box.runner.close()
    await asyncio.gather(*box.runner.in_flight, return_exceptions=True)
    found = "SELECT delay_ms FROM alert_delays WHERE channel LIKE 'mailto%'"
    return lags, [LAST_SECONDS * 1e3 if ms is None else float(ms) for (ms,) in box.rows(found)]


async def _probe(lags: list[float]) -> None:
    """Note how much later than asked for the loop comes back, ns."""
    while True:
        begun = time.monotonic_ns()
        await asyncio.sleep(PROBE_SECONDS)
        lags.append(time.monotonic_ns() - begun - PROBE_SECONDS * 1e9)


def main() -> None:
    """Be the people until stdin ends."""
    hook, mailbox = Webhook("hang"), Mailbox()
    print(json.dumps([hook.url, mailbox.url]), flush=True)
    sys.stdin.read()
    hook.close()
    mailbox.close()


if __name__ == "__main__":
    main()
