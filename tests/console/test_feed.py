"""The feed: an unchanged database costs nothing, and whatever becomes of it is a sentence."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace

from bot.desk import clock, reading
from bot.store.database import open_writer
from console.feed import DEAD, LIVE, NONE, STALE, Feed, Pump, Snapshot, Want, freshness
from tests.console.seen import NOW
from tests.desk.story import Story


class Counted:
    """What a screen reads; it counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self, connection, want):
        self.times += 1
        return self.times


@pytest.fixture
def feed(state):
    found = Feed(state, Counted())
    yield found
    found.close()


def test_an_unchanged_database_is_read_once(feed, bot):
    shots = [feed.poll(Want()) for _ in range(5)]
    assert feed._read.times == 1
    assert {shot.part for shot in shots} == {1}


def test_a_commit_another_screen_a_halt_and_a_new_level_are_read(feed, bot, state):
    feed.poll(Want())
    writer = open_writer(state)
    writer.execute("INSERT INTO meta VALUES('x', 'y')")
    feed.poll(Want())
    assert feed._read.times == 2
    feed.poll(Want(screen="audit"))
    assert feed._read.times == 3
    (state.parent / "HALT").unlink()
    assert feed.poll(Want(screen="audit")).status.halt.set
    assert feed._read.times == 4
    bot.beat(level="REDUCE_ONLY", why="the private stream is down")
    assert feed.poll(Want(screen="audit")).status.level == "REDUCE_ONLY"
    writer.close()


def test_a_beat_is_seen_without_reading(feed, bot):
    bot.beat(ago=2)
    feed.poll(Want())
    bot.beat(ago=0.1)
    shot = feed.poll(Want())
    assert shot.status.bot.heartbeat.age_seconds(NOW) == pytest.approx(0.1)
    assert feed._read.times == 1


def test_it_holds_no_transaction_between_two_looks(feed, bot, state):
    feed.poll(Want())
    assert not feed._reader._connection.in_transaction
    writer = open_writer(state)
    writer.execute("INSERT INTO meta VALUES('x', 'y')")
    assert writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, (
        "nobody is in the way"
    )
    writer.close()


@pytest.mark.parametrize(
    ("beat", "age", "level", "sentence"),
    [
        (0.4, 0.7, LIVE, ""),
        (5, 0.7, STALE, "STALE: heartbeat 5.0 s ago"),
        (0.4, 8, STALE, "STALE: last commit 8.0 s ago"),
        (12, 12, DEAD, "BOT SILENT, nothing written for 12.0 s: positions are NOT managed"),
    ],
)
def test_freshness_is_counted_by_the_console(feed, bot, beat, age, level, sentence):
    bot.beat(ago=beat)
    shot = replace(feed.poll(Want()), commit_ms=NOW - int(age * 1000))
    found = freshness(shot, NOW)
    assert found.level == level
    assert found.sentence.startswith(sentence)


def test_a_feed_that_stands_still_becomes_dead_by_itself(feed, bot):
    shot = feed.poll(Want())
    assert [freshness(shot, NOW + later).level for later in (0, 5_000, 60_000)] == [
        LIVE,
        STALE,
        DEAD,
    ]


def test_a_bot_that_died_is_dead_and_its_figures_stay(feed, bot):
    before = feed.poll(Want())
    bot.die()
    shot = feed.poll(Want())
    assert shot.status.bot.state == "crashed"
    assert shot.status.positions == before.status.positions
    assert freshness(shot, NOW).level == DEAD


def test_a_bot_that_stopped_says_so(tmp_path):
    story = Story(tmp_path / "state.db")
    story.start()
    story.command("stop", "ana", "night")
    story.minute()
    shot = Feed(tmp_path / "state.db", Counted()).poll(Want())
    assert freshness(shot, NOW).sentence.startswith("BOT STOPPED")


def test_no_database_becomes_one(tmp_path, bot):
    feed = Feed(tmp_path / "later.db", Counted())
    shot = feed.poll(Want())
    assert freshness(shot, NOW).level == NONE
    assert "found none" in shot.error
    story = Story(tmp_path / "later.db")
    story.start()
    assert feed.poll(Want()).error == ""


def test_a_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / "state.db").write_bytes(b"x" * 10_000)
    assert "not a database" in Feed(tmp_path / "state.db", Counted()).poll(Want()).error


def test_a_damaged_database_keeps_the_figures_and_says_what_is_wrong(feed, bot, state):
    before = feed.poll(Want())
    body = bytearray(state.read_bytes())
    body[4096:] = b"\xff" * (len(body) - 4096)
    (state.parent / "damaged.db").write_bytes(body)
    (state.parent / "damaged.db").replace(state)
    shot = feed.poll(Want(screen="audit"))
    assert shot.error
    assert shot.status.equity == before.status.equity
    assert freshness(shot, NOW).level in (STALE, DEAD)


def test_a_locked_database_is_a_sentence_and_then_over(feed, bot, state):
    other = open_writer(state)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("INSERT INTO meta VALUES('x', 'y')")
    assert "locked" in feed.poll(Want()).error
    other.close()
    assert feed.poll(Want()).error == ""


def test_a_restore_puts_another_file_in_the_place(feed, bot, state, told):
    assert feed.poll(Want()).status.head_id > 0
    fresh = Story(state.parent / "fresh.db")
    fresh.start()
    fresh.connection.close()
    (state.parent / "fresh.db").replace(state)
    assert feed.poll(Want()).status.head_id == fresh.reactor.writer.head_id


def test_what_a_screen_cannot_read_is_a_sentence(state, bot):
    def read(connection, want):
        raise ZeroDivisionError("by nothing")

    assert "ZeroDivisionError: by nothing" in Feed(state, read).poll(Want()).error


def test_the_pump_waits_until_a_snapshot_was_taken(state, bot):
    given, gave = [], threading.Semaphore(0)

    def give(shot: Snapshot):
        given.append(shot)
        gave.release()

    pump = Pump(Feed(state, Counted()), Want, give)
    pump.start()
    assert gave.acquire(timeout=10)
    pump.wake()
    assert not gave.acquire(timeout=0.2), "the first was not taken yet"
    pump.taken.set()
    pump.wake()
    assert gave.acquire(timeout=10)
    pump.finish()
    assert not pump.is_alive()


def test_what_a_screen_reads_at_length_is_read_less_often_than_the_rest(state, bot, monkeypatch):
    read, now = Counted(), [100.0]
    monkeypatch.setattr(clock, "seconds", lambda: now[0])

    def dear(connection, want):
        now[0] += 1.0
        return read(connection, want)

    feed, writer = Feed(state, dear), open_writer(state)
    feed.poll(Want())
    for number in range(3):
        writer.execute("INSERT INTO meta VALUES(?, 'y')", (f"x{number}",))
        assert feed.poll(Want()).part == 1
    now[0] += 20.0
    writer.execute("INSERT INTO meta VALUES('z', 'y')")
    assert feed.poll(Want()).part == 2
    assert feed.poll(Want(find="else")).part == 3, "something else is read at once"
    writer.close()


def test_a_read_that_takes_too_long_is_cut_and_said(state, bot, monkeypatch):
    def endless(connection, want):
        now[0] += 3.0
        return connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        ).fetchone()

    now = [100.0]
    monkeypatch.setattr(reading, "seconds", lambda: now[0])
    assert "took more than 2 s" in Feed(state, endless).poll(Want()).error
