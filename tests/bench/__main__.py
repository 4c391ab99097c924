"""Prints the figures: ``python -m tests.bench [--only NAME] [--json] [--full]``. They gate nothing."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable

from bot.store.database import only_library

only_library()

from tests.bench import alerts, boot, edge, group, latency, memory, transition  # noqa: E402
from tests.bench.figures import Figure, say  # noqa: E402

MEASURES: dict[str, Callable[[], list[Figure]]] = {
    "transition": transition.measure,
    "group": group.measure,
    "latency": latency.measure,
    "edge": edge.measure,
    "alerts": alerts.measure,
    "boot": boot.measure,
    "memory": memory.measure,
}
SECONDS, FULL_SECONDS = 60, 600


def main() -> None:
    """Measure what was asked for and print it."""
    options = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    options.add_argument("--only", action="append", choices=list(MEASURES), metavar="NAME")
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options.add_argument("--full", action="store_true", help="memory over ten minutes")
    asked = options.parse_args()
    if asked.full:
        os.environ.setdefault("BENCH_SECONDS", str(FULL_SECONDS))
    os.environ.setdefault("BENCH_SECONDS", str(SECONDS))
    load = os.getloadavg()[0]
    say(f"{os.cpu_count()} cores, load {load:.1f}" + (": not quiet" if load > 0.5 else ""))
    found: list[Figure] = []
    for name in asked.only or MEASURES:
        say(name)
        for figure in MEASURES[name]():
            found.append(figure)
            if not asked.json:
                print(figure.text(), flush=True)
    if asked.json:
        print(json.dumps({"load": load, "figures": [f.fields() for f in found]}, indent=2))


if __name__ == "__main__":
    main()
