"""Storage: OK LOW FULL READONLY CORRUPT. Anything but OK and LOW means that nothing is opened.

Invariants: the state follows what was last measured or reported by the disk; recovery needs twice
the limit, so that a disk at the line does not flap; CORRUPT is left only by a restore.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.effects import Effect, Notify
from bot.core.events import Restored, Started, StorageChecked
from bot.core.machine import BORN, Level, Row, Table, always
from bot.core.world import ACCOUNT

if TYPE_CHECKING:
    from bot.core.world import World


class StorageState(StrEnum):
    """What the disk allows."""

    OK = "OK"
    LOW = "LOW"
    FULL = "FULL"
    READONLY = "READONLY"
    CORRUPT = "CORRUPT"


OK, LOW, FULL, READONLY, CORRUPT = StorageState


def corrupt(world: World, event: StorageChecked, key: str) -> str | None:
    """The file is damaged."""
    return event.fault if "malformed" in event.fault or "corrupt" in event.fault else None


def readonly(world: World, event: StorageChecked, key: str) -> str | None:
    """The disk cannot be written."""
    return event.fault if "readonly" in event.fault or "read-only" in event.fault else None


def full(world: World, event: StorageChecked, key: str) -> str | None:
    """The disk is full."""
    if "full" in event.fault:
        return event.fault
    limit = world.settings.storage.full_mb
    return f"{event.free_mb} MB free, under {limit} MB" if event.free_mb < limit else None


def low(world: World, event: StorageChecked, key: str) -> str | None:
    """Space is getting low."""
    limit = world.settings.storage.low_mb
    return f"{event.free_mb} MB free, under {limit} MB" if event.free_mb < limit else None


def roomy(world: World, event: StorageChecked, key: str) -> str | None:
    """There is twice the space that is needed, and no fault."""
    limit = 2 * world.settings.storage.low_mb
    return f"{event.free_mb} MB free" if not event.fault and event.free_mb >= limit else None


def usable(world: World, event: StorageChecked, key: str) -> str | None:
    """Writing works again, with twice the space of the full line."""
    limit = 2 * world.settings.storage.full_mb
    return f"{event.free_mb} MB free" if not event.fault and event.free_mb >= limit else None


def restored(world: World, event: Restored, key: str) -> str:
    """A verified backup took its place."""
    return f"restored from {event.backup} by {event.operator}: {event.reason}"


def alarm(world: World, event: StorageChecked, key: str) -> Iterator[Effect]:
    """Call people."""
    text = f"storage: {event.fault or f'{event.free_mb} MB free'}"
    yield Notify(severity="critical", text=text, runbook="disk")


# fmt: off
STORAGE = Table("storage", StorageState, (
    #   from                        on              when                   to        then
    Row(BORN,                       Started,        always("first start"), OK),
    Row((OK, LOW, FULL, READONLY),  StorageChecked, corrupt,               CORRUPT,  (alarm,)),
    Row((OK, LOW, FULL),            StorageChecked, readonly,              READONLY, (alarm,)),
    Row((OK, LOW),                  StorageChecked, full,                  FULL,     (alarm,)),
    Row(OK,                         StorageChecked, low,                   LOW,      (alarm,)),
    Row((LOW, FULL, READONLY),      StorageChecked, roomy,                 OK),
    Row((FULL, READONLY),           StorageChecked, usable,                LOW),
    Row((OK, LOW, FULL, READONLY, CORRUPT), Restored, restored,            OK),
), key=ACCOUNT, lowers=dict.fromkeys((FULL, READONLY, CORRUPT), Level.REDUCE_ONLY))
# fmt: on
