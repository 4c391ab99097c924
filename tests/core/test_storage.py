"""Storage: a disk that cannot be trusted opens nothing; recovery needs twice the limit."""

import pytest

from bot.core.effects import Notify
from bot.core.events import Restored, StorageChecked
from bot.core.machine import Level
from bot.core.permission import entry_level
from tests.given import BTC, a_world, go

LOW, FULL = 512, 64


def checked(world, free_mb=100_000, fault=""):
    return go(world, StorageChecked(at=world.at, free_mb=free_mb, fault=fault))


def at(state):
    faults = {"FULL": "disk is full", "READONLY": "readonly database", "CORRUPT": "malformed"}
    world = a_world()
    if state == "LOW":
        return checked(world, LOW - 1).world
    return checked(world, fault=faults[state]).world if state in faults else world


@pytest.mark.parametrize(
    ("free_mb", "fault", "state", "why"),
    [
        (LOW, "", "OK", None),
        (LOW - 1, "", "LOW", "511 MB free, under 512 MB"),
        (FULL, "", "LOW", "64 MB free, under 512 MB"),
        (FULL - 1, "", "FULL", "63 MB free, under 64 MB"),
        (9_999, "database or disk is full", "FULL", "database or disk is full"),
        (9_999, "attempt to write a readonly database", "READONLY", "attempt to write a readonly"),
        (9_999, "database disk image is malformed", "CORRUPT", "database disk image is malformed"),
    ],
)
def test_it_follows_the_disk(free_mb, fault, state, why):
    told = checked(a_world(), free_mb, fault)
    assert told.world.state("storage") == state
    if why:
        assert why in told.reason("storage")


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("OK", Level.FULL),
        ("LOW", Level.FULL),
        ("FULL", Level.REDUCE_ONLY),
        ("READONLY", Level.REDUCE_ONLY),
        ("CORRUPT", Level.REDUCE_ONLY),
    ],
)
def test_what_cannot_be_written_opens_nothing(state, level):
    world = at(state)
    assert world.state("storage") == state
    assert entry_level(world, BTC) == level


@pytest.mark.parametrize(
    ("state", "free_mb", "then"),
    [
        ("LOW", 2 * LOW - 1, "LOW"),
        ("LOW", 2 * LOW, "OK"),
        ("FULL", 2 * FULL - 1, "FULL"),
        ("FULL", 2 * FULL, "LOW"),
        ("FULL", 2 * LOW, "OK"),
        ("READONLY", 2 * LOW, "OK"),
        ("CORRUPT", 100_000, "CORRUPT"),
    ],
)
def test_the_way_back_needs_twice_the_limit_and_corruption_has_none(state, free_mb, then):
    assert checked(at(state), free_mb).world.state("storage") == then


def test_a_fault_is_no_recovery_however_much_is_free():
    assert checked(at("FULL"), 100_000, "database is locked").world.state("storage") == "FULL"


def test_only_a_restore_ends_corruption():
    world = at("CORRUPT")
    event = Restored(
        at=world.at,
        epoch=2,
        backup="b",
        old_head="o",
        new_head="n",
        operator="bo",
        reason="bad disk",
    )
    told = go(world, event)
    assert told.world.state("storage") == "OK"
    assert told.reason("storage") == "restored from b by bo: bad disk"
    assert told.world.epoch == 2, "order ids begin a new epoch"


def test_people_are_called():
    assert checked(a_world(), FULL - 1).effects(Notify)[0].text == "storage: 63 MB free"
