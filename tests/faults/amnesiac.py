"""Runs the bot with a memory that can be spoilt from outside, by a file that names a symbol.

``python -m tests.faults.amnesiac STATE CONFIG``. Once ``STATE.amnesia`` is there, half of the named
symbol's position is gone from memory before the next turn. Nothing of the bot is replaced; the
seam is the reactor's probe.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bot.store.database import only_library

only_library()

from msgspec.structs import replace  # noqa: E402

from bot import config  # noqa: E402
from bot.engine import service  # noqa: E402
from bot.engine.reactor import Point, Reactor  # noqa: E402


def forget(reactor: Reactor, symbol: str) -> None:
    """Halve a position, and forget what it is made of."""
    position = reactor.world.positions[symbol]
    spoilt = replace(position, qty=position.qty / 2, legs=())
    positions = {**reactor.world.positions, symbol: spoilt}
    reactor.world = replace(reactor.world, positions=positions)


def main() -> None:
    """Be the bot."""
    state, file = Path(sys.argv[1]), Path(sys.argv[2])
    amnesia = Path(f"{state}.amnesia")
    made: list[service.Service] = []
    original = service.Service.__init__

    def remember(self: service.Service, *args: object) -> None:
        original(self, *args)  # type: ignore[arg-type]
        made.append(self)

    service.Service.__init__ = remember  # type: ignore[method-assign]

    def probe(point: Point) -> None:
        if point is Point.TAKEN and amnesia.exists():
            forget(made[0].reactor, amnesia.read_text())
            amnesia.unlink()

    code = service.run(config.load(file), state, None, probe)
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
