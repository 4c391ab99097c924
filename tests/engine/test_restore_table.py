"""A derived table that was written past the bot is found, copied as it is, and derived anew beside a turning reactor."""

import asyncio
from types import SimpleNamespace

import pytest

from bot.engine.boot import Paths
from bot.engine.healing.restore_table import act
from bot.engine.healing.treatment import Means
from bot.engine.inbox import Inbox
from bot.engine.latch import Latch
from bot.engine.loop import Hooks, Loop
from bot.engine.probes import Probes
from bot.engine.replay import disagreement
from bot.errors import Refused
from bot.store import chain, derived
from bot.store.database import open_reader, open_writer
from tests.given import ticked
from tests.store.kept import lived

DAMAGES = {
    "a state that it never had": "UPDATE instance SET state = 'PAUSED' WHERE machine = 'guard'",
    "another reason": "UPDATE instance SET reason = 'so' WHERE machine = 'hold'",
    "no row": "DELETE FROM instance WHERE machine = 'kill'",
    "many": "UPDATE instance SET version = version + 1",
}


class Alive:
    """A reactor that turns on its thread, and the means of a remedy."""

    def __init__(self, folder):
        self.paths = Paths(folder / "state.db")
        reactor = lived(self.paths.state)
        self.inbox, self.fatal = Inbox(1_000), []
        hooks = Hooks(lambda _: None, lambda _: None, self.fatal.append)
        self.loop = Loop(reactor, self.inbox, Latch(), hooks, batch_max=64, build="b")
        self.loop.start()

    def cure(self):
        none = SimpleNamespace()
        rest = dict.fromkeys(("venue", "loaded", "link", "post", "load"), none)
        return asyncio.run(act(Means(paths=self.paths, loop=self.loop, **rest), ""))

    def damage(self, sql):
        other = open_writer(self.paths.state)
        other.execute(sql)
        other.close()

    def astray(self):
        probes = Probes(None, self.paths, None, post=None, loop=self.loop, timings=None)
        return probes._tables()["rows_astray"]

    def copies(self):
        return sorted(self.paths.backups.glob("*"))


@pytest.fixture
def alive(tmp_path):
    made = Alive(tmp_path)
    yield made
    made.loop.finish()
    assert made.fatal == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_changed_is_found_and_is_what_the_transitions_say_again(alive, damage):
    assert alive.astray() == 0
    alive.damage(DAMAGES[damage])
    assert alive.astray() >= 1
    said = alive.cure()
    (copy,) = alive.copies()
    assert copy.name in said
    assert alive.astray() == 0
    reader = open_reader(alive.paths.state, alive=True)
    chain.verify(reader)
    assert disagreement(reader, alive.loop.world) is None
    reader.close()
    before = alive.loop.turns
    alive.inbox.put(ticked(alive.loop.world, 1))
    alive.loop.finish()
    assert alive.loop.turns == before + 1


def test_a_row_of_a_machine_that_never_was_is_taken_out(alive):
    alive.damage("INSERT INTO instance VALUES('order', 'x', 'OPEN', 1, 1, 'r')")
    assert alive.cure().startswith("1 rows are")


def test_the_copy_that_is_kept_is_the_damaged_one_and_no_backup(alive):
    alive.damage(DAMAGES["no row"])
    alive.cure()
    (copy,) = alive.copies()
    assert not copy.name.endswith(".backup")
    reader = open_reader(copy, alive=False)
    assert [row[0] for row in derived.differences(reader)] == ["kill"]
    reader.close()


def test_where_nothing_differs_nothing_is_done(alive):
    with pytest.raises(Refused, match="every row of instance is what the transitions say"):
        alive.cure()
    assert alive.copies() == []


def test_without_a_copy_nothing_is_written(alive):
    alive.paths.backups.write_text("a file where a folder should be")
    alive.damage(DAMAGES["no row"])
    with pytest.raises(FileExistsError):
        alive.cure()
    assert alive.astray() == 1


def test_what_fails_on_the_writer_leaves_no_transaction_and_the_reactor_turns_on(alive):
    def work(writer):
        derived.restore(writer, [("guard", "account"), (object(), "no key")])

    error = alive.loop.on_writer(work).exception(10)
    assert "unsupported type" in str(error)
    assert alive.astray() == 0
    assert alive.loop.is_alive()
