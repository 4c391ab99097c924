"""Plays many seeds in two processes beside the tests, and says what they came to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tests import nursery
from tests.nursery import ROOT
from tests.simulation.ledger import Counts
from tests.simulation.plays import Played

AT_ONCE = 2
CHUNK = 20
REPLAYED_EVERY = 8


def play_all(seeds: Iterable[int], mutation: str = "") -> list[Played]:
    """Play seeds in their order; a chunk has a process of its own."""
    waiting = list(seeds)
    size = max(1, min(CHUNK, len(waiting) // AT_ONCE))
    chunks = [waiting[n : n + size] for n in range(0, len(waiting), size)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [
            played for found in pool.map(lambda c: _chunk(c, mutation), chunks) for played in found
        ]


def _chunk(seeds: list[int], mutation: str) -> list[Played]:
    flags = ["--json", "--replayed-every", str(REPLAYED_EVERY), "--mutation", mutation]
    done = nursery.run("tests.simulation", *flags, *map(str, seeds), cwd=ROOT, timeout=300)
    lines = done.stdout.splitlines()
    assert len(lines) == len(seeds), f"{seeds}: {done.stderr[-3000:]}"
    return list(_played(lines))


def _played(lines: list[str]) -> Iterator[Played]:
    for line in lines:
        found = json.loads(line)
        yield Played(**{**found, "counts": Counts(*found["counts"])})


def failures(played: Iterable[Played], flag: str = "") -> list[str]:
    """Return a sentence for each run that went wrong, with the command that repeats it alone."""
    return [
        f"PYTHONHASHSEED=0 .venv/bin/python -m tests.simulation {flag} {p.seed}\n  "
        + "\n  ".join(p.differences[:8])
        for p in played
        if p.differences
    ]


def summary(name: str, played: list[Played]) -> str:
    """Return what the runs contained, in a few lines."""
    counts = [p.counts for p in played]
    having = {
        "UNKNOWN": sum(c.unknown > 0 for c in counts),
        "partial fill": sum(c.partial > 0 for c in counts),
        "restart": sum(c.restarts > 0 for c in counts),
        "all three": sum(c.whole for c in counts),
    }
    seeds = [p.seed for p in played]
    orders, changed = sum(c.orders for c in counts), sum(c.changed for c in counts)
    longest = max(c.unknown_seconds for c in counts)
    lines = [
        f"{name}: {len(played)} runs, seeds {min(seeds)} to {max(seeds)}",
        "runs with " + ", ".join(f"{what} {n}" for what, n in having.items()),
        f"orders {orders}, amended or cancelled {changed}, fills {sum(c.fills for c in counts)}",
        f"stays in UNKNOWN {sum(c.unknown for c in counts)}, longest {longest:.1f} s reachable",
    ]
    return "\n".join(lines)
