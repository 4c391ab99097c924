"""Runs the bot with faults that a file beside its database names.

``python -m tests.faults.hosted STATE CONFIG SECONDS [REMEDIES]``. While ``STATE.fault`` says
``full`` or ``readonly``, SQLite itself refuses to write: the page limit is where it stands, or the
connection may only read; ``leak`` takes memory and keeps it; ``forget``, once: the models that are
loaded are gone. REMEDIES is a folder with more of them. Nothing of the bot is replaced; the seam is
the reactor's probe. Each pause before it tries again is the shortest.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bot.store.database import only_library

only_library()

from bot import config  # noqa: E402
from bot.edge.backoff import chance_from  # noqa: E402
from bot.engine import healing, service  # noqa: E402
from bot.engine.reactor import Point  # noqa: E402

ROOMY = 2**30
LEAK_BYTES = 400 << 20


def main() -> None:
    """Be the bot."""
    state, file, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    made: list[service.Service] = []
    original = service.Service.__init__

    def remember(self: service.Service, *args: object) -> None:
        original(self, *args)  # type: ignore[arg-type]
        made.append(self)

    service.Service.__init__ = remember  # type: ignore[method-assign]
    healing.__path__.extend(sys.argv[4:5])
    leaked: list[bytes] = []
    fault = Path(f"{state}.fault")

    def probe(point: Point) -> None:
        if point is not Point.TAKEN:
            return
        db = made[0].booted.writer.connection
        how = fault.read_text() if fault.exists() else ""
        pages = db.execute("PRAGMA page_count").fetchone()[0] if how == "full" else ROOMY
        if how == "forget":
            made[0].models.scorer._loaded = {}
            fault.unlink()
        db.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        db.execute(f"PRAGMA query_only = {'ON' if how == 'readonly' else 'OFF'}")
        if how == "leak" and not leaked:
            leaked.append(b"\1" * LEAK_BYTES)

    with chance_from(lambda: 0.0):
        code = service.run(config.load(file), state, seconds, probe)
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
