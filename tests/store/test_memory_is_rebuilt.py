"""Memory is rebuilt from snapshot and tail; what is pruned was not needed, and replay still checks."""

import hashlib

import pytest

from bot.core import holds
from bot.core.world import World
from bot.engine import replay
from bot.errors import ChainBroken, ReplayMismatch, StoreFatal
from bot.store import chain, snapshots
from tests.given import BTC
from tests.store.kept import DAY, count, kept, lived, pass_time, rows


class Wall:
    """A clock on the wall that tests set."""

    def __init__(self):
        self.now = 1

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def reactor(tmp_path, wall):
    return lived(tmp_path / "state.db", wall)


def save(reactor):
    snapshots.save(reactor.writer, reactor.world, reactor.wall(), "b")


def pruned(reactor, wall, days=1):
    """Live for some days with snapshots between, then prune."""
    for _ in range(5):
        save(reactor)
        wall.now += DAY
        for _ in range(10):
            pass_time(reactor)
    save(reactor)
    return snapshots.prune(reactor.writer, wall.now, days)


def test_the_whole_journal_gives_the_world(reactor):
    world, first, tail, _ = replay.recover(reactor.writer.connection)
    assert (world, first, tail) == (reactor.world, 0, reactor.writer.seq)


def test_snapshot_and_tail_give_the_same_as_the_whole_journal(reactor):
    save(reactor)
    seq = reactor.world.seq
    for _ in range(10):
        pass_time(reactor)
    world, first, tail, _ = replay.recover(reactor.writer.connection)
    assert world == reactor.world
    assert (first, tail) == (seq, reactor.writer.seq - seq)
    assert snapshots.pack(world) == snapshots.pack(reactor.world)


@pytest.mark.parametrize(
    "damage", ["body = CAST(body || 'x' AS BLOB)", "sha256 = zeroblob(32)", "body = x'7b7d'"]
)
def test_a_damaged_snapshot_is_passed_over(reactor, damage):
    save(reactor)
    whole = reactor.world.seq
    pass_time(reactor)
    save(reactor)
    reactor.writer.connection.execute(f"UPDATE snapshot SET {damage} WHERE seq > {whole}")
    world, first, *_ = replay.recover(reactor.writer.connection)
    assert (world, first) == (reactor.world, whole)


def test_a_snapshot_of_another_shape_is_passed_over(reactor):
    body = b'{"seq": "a number, once"}'
    reactor.writer.connection.execute(
        "INSERT INTO snapshot VALUES(?, 1, 1, 'old', ?, ?)",
        (reactor.world.seq, hashlib.sha256(body).digest(), body),
    )
    assert replay.recover(reactor.writer.connection)[0] == reactor.world


def test_pruning_drops_what_moved_nothing_and_keeps_what_did(reactor, wall):
    moved = rows(reactor, "SELECT DISTINCT seq FROM transition ORDER BY seq")
    before = count(reactor, "journal")
    dropped = pruned(reactor, wall)
    assert dropped > 0
    there = {seq for (seq,) in rows(reactor, "SELECT seq FROM journal")}
    assert {seq for (seq,) in moved} <= there
    assert rows(reactor, "SELECT count(*) FROM journal WHERE kind = 'Commanded'") == [(2,)]
    assert count(reactor, "snapshot") >= snapshots.KEPT_MIN
    assert len([seq for seq in there if seq <= before]) < before


def test_after_pruning_memory_chain_and_replay_are_whole(reactor, wall):
    assert pruned(reactor, wall) > 0
    connection = reactor.writer.connection
    assert replay.recover(connection)[0] == reactor.world
    assert chain.verify(connection) == (reactor.writer.head_id, reactor.writer.head)
    checked = replay.check(connection)
    assert checked.transitions == reactor.writer.head_id
    assert checked.head == reactor.writer.head.hex()


def test_nothing_is_pruned_before_its_days_are_over_or_with_few_snapshots(reactor, wall):
    save(reactor)
    wall.now += 100 * DAY
    assert snapshots.prune(reactor.writer, wall.now, 1) == 0
    assert pruned(reactor, wall, days=1_000) == 0


def test_without_a_whole_snapshot_a_pruned_journal_is_not_enough(reactor, wall):
    assert pruned(reactor, wall) > 0
    reactor.writer.connection.execute("UPDATE snapshot SET sha256 = zeroblob(32)")
    with pytest.raises(StoreFatal, match="restore a backup"):
        replay.recover(reactor.writer.connection)


def test_replay_finds_the_whole_history_again(reactor):
    checked = replay.check(reactor.writer.connection)
    assert checked.events == count(reactor, "journal")
    assert checked.transitions == count(reactor, "transition")
    assert checked.effects == count(reactor, "outbox")
    assert checked.head == reactor.writer.head.hex()


def test_replay_catches_one_changed_line_in_a_rule(reactor, monkeypatch):
    row = next(row for row in holds.HOLD.rows if row.when is holds.asked)
    monkeypatch.setattr(row, "when", lambda w, e, k: "another reason" if e.verb == "hold" else None)
    with pytest.raises(ReplayMismatch, match=r"transition: stored .* recomputed .*another reason"):
        replay.check(reactor.writer.connection)


def test_replay_catches_a_row_that_was_added(reactor):
    connection = reactor.writer.connection
    connection.execute("INSERT INTO outbox VALUES('9-99', 9, 'Notify', '{}', NULL)")
    with pytest.raises(ReplayMismatch, match=r"outbox: stored .* recomputed"):
        replay.check(connection)


def test_an_empty_database_is_an_empty_world(tmp_path):
    reactor = kept(tmp_path / "new.db")
    assert reactor.world == World()
    assert replay.check(reactor.writer.connection).events == 0
    assert chain.verify(reactor.writer.connection) == (0, chain.GENESIS)


# -- the chain -------------------------------------------------------------------------------------


def unguarded(reactor):
    """Return the connection of someone who may do everything: no trigger, no foreign key."""
    connection = reactor.writer.connection
    connection.execute("PRAGMA foreign_keys=OFF")
    triggers = rows(reactor, "SELECT name FROM sqlite_schema WHERE type = 'trigger'")
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    return connection


SWAP = (
    "UPDATE transition SET id = CASE id WHEN 7 THEN -8 ELSE -7 END WHERE id IN (7, 8);"
    "UPDATE transition SET id = -id WHERE id < 0"
)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (
            "UPDATE transition SET reason = 'nicer' WHERE id = 7",
            "transition 7: the row or its event",
        ),
        ("UPDATE transition SET at = at + 1 WHERE id = 7", "transition 7: the row or its event"),
        ("DELETE FROM transition WHERE id = 7", "expected transition 7, found 8"),
        ("UPDATE journal SET body = body || ' ' WHERE seq = 1", "the row or its event was changed"),
        ("DELETE FROM journal WHERE seq = 1", "its event 1 is missing"),
        (
            SWAP,
            "transition 7: the row or its event was changed",
        ),
        ("UPDATE instance SET state = 'PAUSED' WHERE machine = 'guard'", "guard account: expected"),
        ("DELETE FROM instance WHERE machine = 'guard'", "guard account: expected NORMAL"),
    ],
)
def test_a_row_that_was_edited_removed_or_reordered_is_found(reactor, edit, what):
    connection = unguarded(reactor)
    for sql in edit.split(";"):
        connection.execute(sql)
    with pytest.raises(ChainBroken, match=what):
        chain.verify(connection)


def test_a_tail_that_was_cut_off_has_another_head(reactor):
    head = reactor.writer.head
    connection = unguarded(reactor)
    connection.execute("DELETE FROM transition WHERE id = (SELECT max(id) FROM transition)")
    assert chain.verify(connection, instances=False)[1] != head


def test_the_newest_rows_can_be_checked_alone(reactor):
    total = reactor.writer.head_id
    assert chain.verify(reactor.writer.connection, total - 5) == (5, reactor.writer.head)
    with pytest.raises(ChainBroken, match="expected transition 100000, found none"):
        chain.verify(reactor.writer.connection, 100_000)


def test_stored_candles_come_back_newest_without_a_hole(reactor):
    for _ in range(100):
        pass_time(reactor, 20)
    connection = reactor.writer.connection
    found = snapshots.candles(connection, BTC, 2**62, 1_000)
    assert len(found) > 10
    middle = found[len(found) // 2].open_time
    connection.execute("DELETE FROM candle WHERE open_time = ?", (middle,))
    assert snapshots.candles(connection, BTC, 2**62, 1_000)[0].open_time == middle + 60_000
    assert len(snapshots.candles(connection, BTC, 2**62, 2)) == 2


def test_a_row_that_was_edited_with_a_fitting_hash_breaks_the_next(reactor):
    connection = unguarded(reactor)
    (previous,) = rows(reactor, "SELECT hash FROM transition WHERE id = 6")[0]
    row = next(chain.rows(connection, 6))
    edited = (*row[:9], "nicer")
    hash_ = chain.link(previous, edited, row[11].encode())
    connection.execute("UPDATE transition SET reason = 'nicer', hash = ? WHERE id = 7", (hash_,))
    with pytest.raises(ChainBroken, match="transition 8: the row or its event was changed"):
        chain.verify(connection)
