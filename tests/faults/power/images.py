"""A disk that loses power: replays recorded operations and builds what could be found afterwards.

Content is durable when its file was synced, a name when its folder was. The model grants SQLite
what it asks of a disk (a sector is whole or garbage, a synced byte stays) and nothing more.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
GARBAGE = 0.02
SUFFIXES = ("", "-wal", "-journal")  # the -shm is no more after a power loss


class Mark(NamedTuple):
    """What the program was told is durable: newest event, events kept, newest transition, snapshot."""

    seq: int
    rows: int
    head_id: int
    head: str
    snapshot: int


class Create(NamedTuple):
    name: str


class Write(NamedTuple):
    name: str
    offset: int
    data: bytes


class Truncate(NamedTuple):
    name: str
    size: int


class Sync(NamedTuple):
    name: str


class Unlink(NamedTuple):
    name: str


class SyncFolder(NamedTuple):
    pass


class Ack(NamedTuple):
    mark: Mark


Operation = Create | Write | Truncate | Sync | Unlink | SyncFolder | Ack
Files = dict[str, bytes]


class Mode(StrEnum):
    """What becomes of operations that were not synced."""

    DROP = "drop"  # no content reached the disk
    KEEP = "keep"  # all did
    PREFIX = "prefix"  # those before some instant did
    UNDONE = "undone"  # no name did: what was unlinked is there again
    SUBSET = "subset"  # some did
    TORN = "torn"  # some sectors did, a few as garbage


Keeper = Callable[[int, Write | Truncate], Iterable[Write | Truncate]]


class File:
    """Durable content, and the changes since, in the order of the whole disk."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[tuple[int, Write | Truncate]] = []


class Disk:
    """A folder of files on a disk that forgets."""

    def __init__(self) -> None:
        self.names: dict[str, File] = {}
        self.durable_names: dict[str, File] = {}
        self.clock = 0

    def feed(self, operation: Operation) -> None:
        """Carry out one operation."""
        self.clock += 1
        match operation:
            case Create(name):
                self.names[name] = File()
            case Write(name) | Truncate(name):
                self.names[name].pending.append((self.clock, operation))
            case Sync(name):
                file = self.names[name]
                apply(file.durable, (change for _, change in file.pending))
                file.pending.clear()
            case Unlink(name):
                del self.names[name]
            case SyncFolder():
                self.durable_names = dict(self.names)

    def image(self, mode: Mode, chance: random.Random) -> Files:
        """Return the files that may be found after a power loss at this instant."""
        keep = self._keeper(mode, chance)
        found: Files = {}
        for name, file in sorted(self._names(mode, chance).items()):
            content = bytearray(file.durable)
            apply(content, (part for at, change in file.pending for part in keep(at, change)))
            found[name] = bytes(content)
        return found

    def _names(self, mode: Mode, chance: random.Random) -> dict[str, File]:
        if mode is Mode.UNDONE:
            return self.durable_names
        if mode not in (Mode.SUBSET, Mode.TORN):
            return self.names
        choices = {
            name: chance.choice((self.names, self.durable_names)).get(name)
            for name in sorted({*self.names, *self.durable_names})
        }
        return {name: file for name, file in choices.items() if file is not None}

    def _keeper(self, mode: Mode, chance: random.Random) -> Keeper:
        """Return the function that says what of a change survives."""
        times = [at for file in self.names.values() for at, _ in file.pending]
        until = chance.choice([0, *times])
        odds = chance.choice((0.3, 0.5, 0.8, 1.0))
        whole = chance.random() < 0.5

        def keep(at: int, change: Write | Truncate) -> Iterable[Write | Truncate]:
            if mode is Mode.TORN and isinstance(change, Write):
                return sectors(change, odds, chance)
            kept = {
                Mode.DROP: False,
                Mode.PREFIX: at <= until,
                Mode.SUBSET: chance.random() < 0.5,
                Mode.TORN: chance.random() < odds,
                Mode.KEEP: True,
                Mode.UNDONE: whole,
            }
            return [change] if kept[mode] else []

        return keep


def apply(content: bytearray, changes: Iterable[Write | Truncate]) -> None:
    """Change a file's content; a hole reads as zeros."""
    for change in changes:
        if isinstance(change, Write):
            end = change.offset + len(change.data)
            content.extend(bytes(max(0, end - len(content))))
            content[change.offset : end] = change.data
        else:
            content.extend(bytes(max(0, change.size - len(content))))
            del content[change.size :]


def sectors(write: Write, odds: float, chance: random.Random) -> Iterator[Write]:
    """Yield the sectors of a write that survive, a few of them as garbage."""
    start = write.offset - write.offset % SECTOR
    for at in range(start, write.offset + len(write.data), SECTOR):
        first = max(at, write.offset)
        part = write.data[first - write.offset : at + SECTOR - write.offset]
        if chance.random() < GARBAGE:
            yield Write(write.name, first, chance.randbytes(len(part)))
        elif chance.random() < odds:
            yield Write(write.name, first, part)


class Image(NamedTuple):
    """The files after a power loss at operation ``instant``, with ``acked`` marks acknowledged."""

    instant: int
    mode: Mode
    seed: int
    acked: int
    files: Files

    def __str__(self) -> str:
        return f"image index={self.instant} mode={self.mode} seed={self.seed} acked={self.acked}"

    def put(self, folder: Path) -> Path:
        """Write the files into a folder, in place of an earlier image; return the database."""
        for old in folder.iterdir():
            old.unlink()
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder / "state.db"


def images(tape: Sequence[Operation], cuts: int, seed: int) -> Iterator[Image]:
    """Yield distinct images of power losses, in every mode, at ``cuts`` seeded operations and more."""
    chosen = instants(tape, cuts, seed)
    disk, acked, seen = Disk(), 0, set[int]()
    for index, operation in enumerate(tape):
        disk.feed(operation)
        acked += isinstance(operation, Ack)
        if index not in chosen:
            continue
        for mode in Mode:
            files = disk.image(mode, random.Random(f"{seed} {index} {mode}"))
            key = hash((acked, tuple(sorted(files.items()))))
            if key not in seen:
                seen.add(key)
                yield Image(index, mode, seed, acked, files)


def instants(tape: Sequence[Operation], cuts: int, seed: int) -> set[int]:
    """Choose ``cuts`` operations, and up to a quarter as many at which a name is not synced: few are."""
    chance, disk, unsynced = random.Random(seed), Disk(), list[int]()
    for index, operation in enumerate(tape):
        disk.feed(operation)
        if disk.names != disk.durable_names:
            unsynced.append(index)
    rare = chance.sample(unsynced, min(cuts // 4, len(unsynced)))
    return {*chance.sample(range(len(tape)), min(cuts, len(tape))), *rare}
