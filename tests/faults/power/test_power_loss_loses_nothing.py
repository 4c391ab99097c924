"""No acknowledged turn is lost and nothing is corrupt, wherever in its writing the power goes."""

import functools
import random
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from bot.store.database import open_reader, sqlite3
from tests.faults.power import life, process, statements
from tests.faults.power.images import Ack, Disk, Image, Mark, Mode, Write, images
from tests.faults.power.verdict import judge, why_lost

SEED = 20_240_607
SHM = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path):
    """A folder in memory where there is one: images are many and short-lived."""
    if not SHM.is_dir():
        yield tmp_path
        return
    made = Path(tempfile.mkdtemp(dir=SHM, prefix="power-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """The taped SQL of both lives, and the database that they left."""
    state, tape = tmp_path_factory.mktemp("lived") / "state.db", []
    with pytest.MonkeyPatch.context() as patch:
        connect = functools.partial(sqlite3.connect, factory=statements.taped(tape))
        patch.setattr(sqlite3, "connect", connect)
        bot = life.Life(state, SEED, lambda mark: tape.append(Ack(mark)))
        life.first(bot)
        bot.close()
        life.second(bot)
    return tape, state


@pytest.fixture
def show(capsys):
    """Prints past pytest's capture."""

    def shown(text):
        with capsys.disabled():
            print(f"\n  {text}", end="")

    return shown


def played(lived, folder, **how):
    (folder / "played").mkdir()
    (folder / "image").mkdir()
    return statements.play(lived[0], folder / "played" / "state.db", **how)


def contents(path):
    """Return every row of every table."""
    with closing(open_reader(path, alive=False)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
        ).fetchall()
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr)
            for (name,) in tables
        }


def on_disk(folder):
    files = (path for path in folder.iterdir() if path.name in process.NAMES)
    return {path.name: path.read_bytes() for path in files}


def after(tape):
    """Return the files after a tape on a disk that keeps everything."""
    disk = Disk()
    for operation in tape:
        disk.feed(operation)
    return disk.image(Mode.KEEP, random.Random(0))


def test_the_life_is_full(lived):
    rows = contents(lived[1])
    assert {"fill", "trade", "equity", "position", "candle", "outbox", "snapshot"} < {
        table for table, found in rows.items() if found
    }
    kinds = {row[3] for row in rows["journal"]}
    assert {"Backfilled", "CandleClosed", "Filled", "Commanded", "Poisoned", "StreamLost"} < kinds
    assert {name for name, _ in rows["meta"]} >= {"pruned_before", "instance", "epoch"}


def test_the_tape_is_all_of_production(lived, folder):
    tape = played(lived, folder)
    assert on_disk(folder / "played") == after(tape)
    assert contents(folder / "played" / "state.db") == contents(lived[1])


@pytest.mark.parametrize("pages", [1000, 12], ids=["default-checkpoint", "often-checkpoint"])
def test_taped_sql_loses_nothing(lived, folder, pages, show):
    tape = played(lived, folder, pages=pages)
    report = judge(f"SQL over a VFS, checkpoint {pages}", tape, folder / "image", 330, SEED)
    show(report)
    assert report.images >= 1_000
    assert report.violations == {"lost": [], "corrupt": []}


def test_without_full_sync_acknowledged_turns_are_lost(lived, folder, show):
    tape = played(lived, folder, synchronous="NORMAL", pages=40)
    report = judge("control, synchronous NORMAL", tape, folder / "image", 60, SEED)
    show(report)
    assert report.violations["lost"]
    assert not report.violations["corrupt"]


def test_without_any_sync_the_database_is_corrupt(lived, folder, show):
    tape = played(lived, folder, synchronous="OFF", pages=12)
    report = judge("control, synchronous OFF", tape, folder / "image", 60, SEED)
    show(report)
    assert report.violations["lost"]
    assert report.violations["corrupt"]


@pytest.mark.skipif(process.compiler() is None, reason="no C compiler (cc): nothing to preload")
def test_the_unmodified_process_loses_nothing(folder, show):
    tape = process.record(folder, SEED)
    assert on_disk(folder / "state") == after(tape)
    (folder / "image").mkdir()
    report = judge("the process under LD_PRELOAD", tape, folder / "image", 330, SEED)
    show(report)
    assert report.images >= 1_000
    assert report.violations == {"lost": [], "corrupt": []}


def test_a_violation_names_its_image(folder):
    image = Image(7, Mode.TORN, 3, 1, {})
    fault = why_lost(image, [Mark(1, 1, 1, "ab", 0)], folder)
    assert str(image) == "image index=7 mode=torn seed=3 acked=1"
    assert fault.startswith("lost: acknowledged Mark(seq=1")


def test_images_are_the_same_for_a_seed():
    tape = [statements.Create("state.db"), statements.SyncFolder()]
    tape += [Write("state.db", n * 700, bytes([n]) * 700) for n in range(40)]
    assert list(images(tape, 10, SEED)) == list(images(tape, 10, SEED))
    assert len(list(images(tape, 10, SEED))) > 20
