"""Runs the bot, one part of which can be made to hang from outside, by a file that names it.

``python -m tests.faults.hanging STATE CONFIG``. When ``STATE.hang`` says ``loop`` or ``reactor``,
that thread sleeps for an hour, and the file is gone: the next start is well. Nothing of the bot is
replaced; the seam is the reactor's probe.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from bot.store.database import only_library

only_library()

from bot import config  # noqa: E402
from bot.engine import service  # noqa: E402
from bot.engine.reactor import Point  # noqa: E402

FOREVER = 3_600


def main() -> None:
    """Be the bot."""
    state, file = Path(sys.argv[1]), Path(sys.argv[2])
    made: list[service.Service] = []
    original = service.Service.__init__

    def remember(self: service.Service, *args: object) -> None:
        original(self, *args)  # type: ignore[arg-type]
        made.append(self)

    service.Service.__init__ = remember  # type: ignore[method-assign]
    wanted = Path(f"{state}.hang")

    def probe(point: Point) -> None:
        if point is not Point.TAKEN or not wanted.exists():
            return
        part = wanted.read_text()
        wanted.unlink()
        if part == "reactor":
            time.sleep(FOREVER)
        made[0].asyncio_loop.call_soon_threadsafe(time.sleep, FOREVER)

    code = service.run(config.load(file), state, None, probe)
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
