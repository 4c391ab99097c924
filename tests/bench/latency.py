"""Figure ``latency``: a candle's frame is sent → its order is durable → its request has arrived.

Both ends are stamped by the venue's process, so both figures are upper bounds of what the bot does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, percentile, say, spread
from tests.bench.rig import SYMBOLS
from tests.bench.venue import ALL, ALONE, ONE, RATE

WARM, EACH = 8, 40
P50_MS, P99_MS, SEND_MS = 6.0, 25.0, 2.0
KINDS = {
    ALL: "20 candles at once, and each is an entry",
    ONE: "20 candles at once, and one is an entry",
    ALONE: "one candle alone, an entry",
}
STAGES = (
    ("sent", "posted", "frame sent → parsed and posted"),
    ("posted", "taken", "… → its turn begins"),
    ("taken", "committing", "… → decided and written"),
    ("committing", "committed", "… → COMMIT returned (the sync)"),
    ("committed", "sending", "… → its task begins"),
    ("sending", "left", "… → request written"),
    ("left", "arrived", "… → arrived at the venue"),
)


def measure(warm: int = WARM, each: int = EACH) -> list[Figure]:
    """Return the figures of every kind of round."""
    seconds = (warm + 3 * each) * 60 / RATE
    say(f"latency: {each} rounds of each of {len(KINDS)} kinds, about {seconds:.0f} s")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.trading", str(warm), str(each)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60 + 2 * seconds,
    )
    found = json.loads(done.stdout)
    return [figure for kind in KINDS for figure in judged(found, kind, each)]


def judged(found: dict[str, Any], kind: str, rounds: int) -> list[Figure]:
    """Return p50 and p99 of one kind of round, to the arrival of the request."""
    orders = list(joined(found, kind))
    expected = rounds * (len(SYMBOLS) if kind == ALL else 1)
    how = (
        f"{KINDS[kind]}; {len(orders)} of {expected} entries; the venue sends the frame → the request"
        " arrives at the venue, on loopback"
    )
    note = [f"frame sent → intent durable: {spread(between(orders, 'sent', 'committed'))}"]
    note += [f"{text:34} {spread(between(orders, a, b))}" for a, b, text in STAGES]
    turns = len({order["committed"] for order in orders})
    note.append(f"turns with entries: {turns}, {len(orders) / turns:.1f} entries each")
    whole = between(orders, "sent", "arrived")
    p50, p99 = (percentile(whole, share) / 1e6 for share in (0.5, 0.99))
    send = percentile(between(orders, "committed", "left"), 0.5) / 1e6
    return [
        Figure(f"latency.{kind}.p50", p50, "ms", P50_MS, how, note=note),
        Figure(f"latency.{kind}.p99", p99, "ms", P99_MS, "the same entries"),
        Figure(
            f"latency.{kind}.send", send, "ms", SEND_MS, "intent durable → request written, p50"
        ),
    ]


def joined(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the orders of one kind of round with all their stamps."""
    orders = []
    for order, stamps in found["orders"].items():
        sent, what = found["sent"].get(stamps["candle"], (0, ""))
        arrived = found["arrived"].get(order)
        if what == kind and arrived and stamps.get("left"):
            orders.append({**stamps, "sent": sent, "arrived": arrived})
    return orders


def between(orders: list[dict[str, Any]], first: str, second: str) -> list[int]:
    """Return the ns between two stamps of each order."""
    return [order[second] - order[first] for order in orders]
