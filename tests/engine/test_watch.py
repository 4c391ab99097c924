"""The watch over people's files: panic's lines before the boot was committed are the boot's to read."""

import asyncio

import pytest

from bot.config import sections
from bot.core.events import Panicked
from bot.core.world import World
from bot.edge.clock import MarketClock
from bot.edge.files import append_panic_line
from bot.engine.boot import Paths
from bot.engine.watch import Watch

LINE = '{"who":"boot","action":"cancel entries","detail":"protect-only: the disk was full"}'
END = '{"who":"boot","action":"end","outcome":"done"}'


class Venue:
    clock = MarketClock()


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """A watch that looks without a pause, over a folder with what panic did."""
    paths = Paths(tmp_path / "state.db")
    append_panic_line(paths.panic, LINE)
    append_panic_line(paths.panic, END)
    pace = sections.Watch(halt_real_seconds=0)
    found = Watch(Venue(), None, None, paths, pace=pace, post=None, world=World, lost=None)
    found.rounds = 0
    monkeypatch.setattr(found, "halt_seen", lambda: setattr(found, "rounds", found.rounds + 1))
    return found


def looking(watch, enough):
    """Let it look until there is enough; return what it posted."""
    posted, done = [], asyncio.Event()

    def seen():
        watch.rounds += 1
        if enough(posted):
            done.set()

    async def look():
        watch.post, watch.halt_seen = posted.append, seen
        task = asyncio.create_task(watch._people())
        async with asyncio.timeout(10):
            await done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(look())
    return posted


def test_panics_lines_are_not_read_a_second_time_while_the_boot_is_not_committed(watch):
    assert looking(watch, lambda _: watch.rounds > 5) == []
    assert watch.paths.panic.exists(), "the boot puts them aside"


def test_panics_lines_of_a_running_bot_are_posted_once(watch):
    watch.booted = True
    (event,) = looking(watch, lambda posted: posted and watch.rounds > 5)
    assert isinstance(event, Panicked)
    assert event.lines == (LINE, END)
    assert watch.paths.panic.exists(), "a crash now must not lose them"


def test_panics_lines_are_put_aside_once_they_are_committed(watch):
    watch.booted = True
    watch.world = lambda: World(panic_read=END)
    assert looking(watch, lambda _: watch.rounds > 2) == []
    assert not watch.paths.panic.exists()
    append_panic_line(watch.paths.panic, LINE)
    append_panic_line(watch.paths.panic, END.replace("done", "undone"))
    (event,) = looking(watch, lambda posted: posted and watch.rounds > 2)
    assert len(event.lines) == 2


def test_a_panic_under_way_is_read_whole(watch):
    watch.booted = True
    watch.world = lambda: World(panic_read=END)
    append_panic_line(watch.paths.panic, LINE)
    assert looking(watch, lambda _: watch.rounds > 3) == []
