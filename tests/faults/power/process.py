"""Runs a life of the bot in processes of their own, and records what they do to the disk.

As a program it is one of those processes: it writes each mark into a file beside the database, and
ends without closing it, as a killed process would.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.power import life
from tests.faults.power.images import (
    SUFFIXES,
    Ack,
    Create,
    Mark,
    Operation,
    Sync,
    SyncFolder,
    Truncate,
    Unlink,
    Write,
)

ROOT = Path(__file__).parents[3]
SOURCE = Path(__file__).with_name("iorec.c")
HEAD = struct.Struct("<cBHIQ")
MARKS = "ACK"
NAMES = {f"state.db{suffix}" for suffix in SUFFIXES}


def compiler() -> str | None:
    """Return the C compiler, if there is one and programs can be preloaded."""
    return shutil.which("cc") if sys.platform == "linux" else None


def record(folder: Path, seed: int) -> list[Operation]:
    """Compile the recorder, live both lives under it in ``folder/state``, and return the tape."""
    library, log, state = folder / "iorec.so", folder / "log", folder / "state"
    state.mkdir()
    flags = ("-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library))
    cc = compiler() or "cc"
    subprocess.run([cc, *flags, str(SOURCE), "-ldl", "-lpthread"], check=True)
    watched = {"LD_PRELOAD": str(library), "IOREC_FOLDER": str(state), "IOREC_LOG": str(log)}
    for part in ("first", "second"):
        subprocess.run(
            [sys.executable, "-m", "tests.faults.power.process", str(state), str(seed), part],
            cwd=ROOT,
            env={**os.environ, **watched},
            check=True,
        )
    return list(operations(log.read_bytes()))


def operations(log: bytes) -> Iterator[Operation]:
    """Decode a log; a write to the file of marks is an acknowledgement."""
    at = 0
    while at < len(log):
        kind, name_size, _, size, offset = HEAD.unpack_from(log, at)
        at += HEAD.size
        name = log[at : at + name_size].decode()
        at += name_size
        data = log[at : at + size]
        at += size
        if kind == b"f":
            yield SyncFolder()
        elif name == MARKS and kind == b"w":
            yield Ack(Mark(*json.loads(data)))
        elif name in NAMES:
            yield MADE[kind](name, offset, data)


MADE: dict[bytes, Callable[[str, int, bytes], Operation]] = {
    b"c": lambda name, offset, data: Create(name),
    b"w": Write,
    b"t": lambda name, offset, data: Truncate(name, offset),
    b"s": lambda name, offset, data: Sync(name),
    b"u": lambda name, offset, data: Unlink(name),
}


def main(folder: str, seed: str, part: str) -> None:
    """Live one part, then end as if killed."""
    marks = os.open(f"{folder}/{MARKS}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    bot = life.Life(
        Path(folder) / "state.db",
        int(seed),
        lambda mark: os.write(marks, json.dumps(mark).encode()),
    )
    getattr(life, part)(bot)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
