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
from tests.bench.venue import ALONE, BURST, RATE

WARM, BURSTS, ALONES = 20, 60, 40
P50_MS, P99_MS = 6.0, 25.0
STAGES = (
    ("sent", "posted", "frame sent → parsed and posted"),
    ("posted", "taken", "… → its turn begins"),
    ("taken", "committing", "… → decided and written"),
    ("committing", "committed", "… → COMMIT returned (the sync)"),
    ("committed", "sending", "… → its task begins"),
    ("sending", "left", "… → request written"),
    ("left", "arrived", "… → arrived at the venue"),
)


def measure(warm: int = WARM, bursts: int = BURSTS, alone: int = ALONES) -> list[Figure]:
    """Return the figures for all symbols at once and for one symbol alone."""
    seconds = (warm + bursts + alone) * 60 / RATE
    say(f"latency: {bursts} candles of 20 symbols at once, {alone} of one alone, about {seconds:.0f} s")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.trading", *map(str, (warm, bursts, alone))],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    return [*judged(found, BURST, bursts * 20, ""), *judged(found, ALONE, alone, ".alone")]


def judged(found: dict[str, Any], kind: str, expected: int, suffix: str) -> list[Figure]:
    """Return p50 and p99 of one kind of round, to the arrival of the request."""
    orders = list(joined(found, kind))
    whole, durable = between(orders, "sent", "arrived"), between(orders, "sent", "committed")
    how = (
        f"{len(orders)} of {expected} entries, {'one symbol alone' if suffix else '20 symbols at once'}: "
        "the venue sends the frame → the request arrives at the venue, on loopback"
    )
    note = [f"frame sent → intent durable: {spread(durable)}"]
    note += [f"{text:34} {spread(between(orders, a, b))}" for a, b, text in STAGES]
    if not suffix:
        sizes = found["batches"]
        note.append(f"entries a turn: median {percentile(sizes, 0.5)}, most {max(sizes)}")
    p50, p99 = (percentile(whole, share) / 1e6 for share in (0.5, 0.99))
    return [
        Figure(f"latency{suffix}.p50", p50, "ms", P50_MS, how, note=note),
        Figure(f"latency{suffix}.p99", p99, "ms", P99_MS, "the same entries"),
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
