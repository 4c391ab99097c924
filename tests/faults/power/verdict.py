"""Judges what is found after a power loss: opens it as a restart would, and compares with the marks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bot.engine import boot
from bot.errors import BotError
from bot.store import chain
from bot.store.database import Connection, open_writer
from tests.faults.power.images import Ack, Image, Mark, Operation, images

DEEP_EVERY = 10


class Report:
    """What came of the images of one tape."""

    def __init__(self, title: str, tape: Sequence[Operation]) -> None:
        self.title = title
        self.operations = Counter(type(operation).__name__.lower() for operation in tape)
        self.modes: Counter[str] = Counter()
        self.violations: dict[str, list[str]] = {"lost": [], "corrupt": []}
        self.booted = 0
        self.seconds = 0.0

    @property
    def images(self) -> int:
        return self.modes.total()

    def __str__(self) -> str:
        modes = ", ".join(f"{count} {mode}" for mode, count in sorted(self.modes.items()))
        operations = ", ".join(f"{count} {kind}" for kind, count in sorted(self.operations.items()))
        counts = ", ".join(f"{len(found)} {kind}" for kind, found in self.violations.items())
        first = [
            f"\n  first {kind}: {found[0]}" for kind, found in self.violations.items() if found
        ]
        return (
            f"{self.title}: {self.operations.total()} operations ({operations}); "
            f"{self.images} images ({modes}), {self.booted} booted; {counts}; "
            f"{self.seconds:.1f} s{''.join(first)}"
        )


def judge(title: str, tape: Sequence[Operation], folder: Path, cuts: int, seed: int) -> Report:
    """Build the images of a tape in a folder and judge every one."""
    report, marks = Report(title, tape), [op.mark for op in tape if isinstance(op, Ack)]
    began = time.monotonic()
    for number, image in enumerate(images(tape, cuts, seed)):
        report.modes[image.mode] += 1
        deep = not image.acked or number % DEEP_EVERY == 0
        report.booted += deep
        fault = why_lost(image, marks, folder) or (why_no_boot(image, folder) if deep else None)
        if fault:
            report.violations[fault.partition(":")[0]].append(f"{image}: {fault}")
    report.seconds = time.monotonic() - began
    return report


def why_lost(image: Image, marks: Sequence[Mark], folder: Path) -> str | None:
    """Tell what is wrong with an image (``lost: …`` or ``corrupt: …``), or None.

    Present must be exactly the last acknowledged turn, or that and the whole of the next.
    """
    try:
        with closing(open_writer(image.put(folder))) as connection:
            present = inspect(connection)
    except Exception as error:  # noqa: BLE001 - damage shows in many ways
        return f"corrupt: {type(error).__name__}: {error}"
    known = [None, *marks]  # before the first mark there may be no schema
    if present in known[image.acked : image.acked + 2]:
        return None
    if image.acked == 0 and present == Mark(0, 0, 0, chain.GENESIS.hex(), 0):
        return None
    kind = "lost" if present in known[: image.acked] else "corrupt"
    return f"{kind}: acknowledged {known[image.acked]}, present {present}"


def inspect(connection: Connection) -> Mark | None:
    """Check a database as a whole and return what it holds, None without a schema."""
    damage = connection.execute("PRAGMA integrity_check").fetchall()
    if damage != [("ok",)]:
        raise BotError(f"integrity_check: {damage[:3]}")
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'transition'").fetchone():
        return None
    checked, head = chain.verify(connection)
    tails = "SELECT machine, key, max(version), dest FROM transition GROUP BY machine, key"
    instances = "SELECT machine, key, version, state FROM instance ORDER BY machine, key"
    if connection.execute(tails).fetchall() != connection.execute(instances).fetchall():
        raise BotError("instances do not stand where their newest transitions say")
    seq, rows = connection.execute("SELECT ifnull(max(seq), 0), count(*) FROM journal").fetchone()
    (snapshot,) = connection.execute("SELECT ifnull(max(seq), 0) FROM snapshot").fetchone()
    return Mark(seq, rows, checked, head.hex(), snapshot)


def why_no_boot(image: Image, folder: Path) -> str | None:
    """Boot from an image as the process would; tell why it cannot, or None."""
    try:
        booted = boot.open_state(image.put(folder))
    except Exception as error:  # noqa: BLE001 - any end of a boot is a finding
        return f"corrupt: boot: {type(error).__name__}: {error}"
    with closing(booted.writer.connection):
        if booted.world.seq != booted.writer.seq:
            return f"corrupt: boot: memory at {booted.world.seq}, journal at {booted.writer.seq}"
    return None
