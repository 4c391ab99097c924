"""What a bot heals of what it keeps: log, configuration, disk, model, table, backup; and what nothing heals.

The remedy for backups is the example of docs/healing.md, taken from its text.
"""

import contextlib
import re

import pytest

from tests.faults.places import until
from tests.faults.sick import (
    BALLAST_MB,
    Sick,
    a_reader,
    alerts,
    attempts,
    close,
    cured,
    given_up,
    report_of,
)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two bots that everything ails at once: one whose remedies work, and one where none can."""
    folder = tmp_path_factory.mktemp("sick")
    with contextlib.ExitStack() as cleaning:
        made = [Sick(folder / "curable", BALLAST_MB), Sick(folder / "hopeless", 0)]
        for place in made:
            cleaning.callback(place.close)
            place.start()
        made[1].reader = a_reader(made[1])
        for place in made:
            place.until_state("process", "RUNNING", seconds=40)
        fall_ill(*made)
        yield made
        for place in made:
            place.stop()


def fall_ill(curable, hopeless) -> None:
    """Break the same in both; in the second there is nowhere to write and nothing to delete."""
    curable.make_old_backups(5)
    curable.file.write_text("[health\n")
    hopeless.make_old_backups(1)
    hopeless.file.write_text(hopeless.good.replace("seed", "sneed"))
    curable.made = [curable.hand_in(0.1)]
    hopeless.made = [hopeless.hand_in(0.2), hopeless.hand_in(0.3)]
    hopeless.change_a_table()
    hopeless.seal()
    for place in (curable, hopeless):
        if place.small:
            place.fill()


@pytest.fixture
def curable(places):
    return places[0]


@pytest.fixture
def hopeless(places):
    return places[1]


@pytest.fixture
def sealed(hopeless):
    """The hopeless one, where its folders could be closed to it."""
    if not hopeless.sealed:
        pytest.skip("root ignores permissions, and may not mount here")
    return hopeless


@pytest.fixture(scope="module")
def changed(places):
    """The curable one, once it can be started and its audit verifies again: then both were changed."""
    place = places[0]
    cured(place, "restore-config", "config file")
    cured(place, "make-backup", "backup")
    place.file.write_text(place.good.replace("seed = 7", "seed = 8"))
    place.change_a_table()
    return place


# -- the log ---------------------------------------------------------------------------------------


def test_a_log_that_grew_is_moved_into_the_database_and_cut(curable):
    said = cured(curable, "checkpoint-wal", "wal")
    assert re.fullmatch(r"the log is [\d.]+ MB, limit 1, after checkpoint-wal", said)


def test_a_log_that_a_reader_holds_is_told_of_and_is_well_once_the_reader_goes(hopeless):
    tried, told, report = given_up(hopeless, "wal")
    assert "failed: Retryable: a reader holds the log" in tried
    assert re.match(r"check wal: the log is .*; nothing helped", told)
    assert re.search(r"Retryable: a reader holds the log: \d+ of", told)
    assert "checkpoint-wal (low risk, 1 of 6 today): failed: Retryable" in report
    assert hopeless.state_of("hold") in ("", "FREE")  # nobody who writes was kept waiting for long
    close(hopeless.reader)
    hopeless.until_state("check", "WELL", key="wal", seconds=60)  # the writer cuts it
    assert attempts(hopeless, "checkpoint-wal") == 1


# -- the configuration -----------------------------------------------------------------------------


def test_a_configuration_that_no_start_could_use_is_put_back_and_the_broken_one_is_kept(curable):
    assert "it can be used, after restore-config" in cured(curable, "restore-config", "config file")
    assert curable.file.read_text() == curable.good
    (bad,) = curable.etc.glob("bot.toml.bad-*")
    assert bad.read_text() == "[health\n"
    assert bad.stat().st_mode & 0o777 == 0o600
    kept = curable.folder / "bot.toml.good"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_configuration_that_cannot_be_put_back_is_told_of_with_where_the_good_one_is(sealed):
    tried, told, report = given_up(sealed, "config file")
    assert "restore-config" in tried
    assert re.search(r"; nothing helped .*Retryable: cannot write \S+bot.toml", told)
    assert f"the last good file is {sealed.folder / 'bot.toml.good'}" in told
    assert "restore-config (medium risk, 1 of 3 today): failed" in report
    assert "sneed" in sealed.file.read_text()


def test_a_valid_change_waits_for_its_restart_and_is_not_touched(changed):
    changed.until_state("check", "ESCALATED", key="config", seconds=40)
    (reason,) = changed.rows("SELECT reason FROM instance WHERE machine='check' AND key='config'")
    assert "was changed since the start" in reason[0]
    assert "seed = 8" in changed.file.read_text()
    assert attempts(changed, "restore-config") == 1


# -- the disk --------------------------------------------------------------------------------------


def test_a_disk_that_gets_low_gets_the_ballast_and_old_backups_back(curable):
    if not curable.small:
        pytest.skip("only root may mount a small disk")
    assert "storage is OK" in cured(curable, "free-disk", "disk")
    assert not (curable.folder / "ballast").exists()
    left = {path.name[9:17] for path in curable.backups.glob("*.backup")}
    assert len(left) >= 3
    assert not left & {"20260100", "20260101"}
    assert "20260104" in left


def test_a_disk_with_nothing_to_give_back_is_told_of(hopeless):
    if not hopeless.small:
        pytest.skip("only root may mount a small disk")
    tried, told, report = given_up(hopeless, "disk")
    assert "free-disk" in tried
    assert "Refused: there is no ballast, no old backup, and no old report" in told
    assert "free-disk (medium risk, 1 of 3 today): failed" in report


# -- the model -------------------------------------------------------------------------------------


def test_a_champion_that_does_not_answer_is_loaded_anew(curable):
    (model,) = curable.made
    curable.promote(model)
    curable.forget()
    assert re.match(r"0 % of the last \d scores of model", cured(curable, "reload-model", "scores"))
    dropped = curable.rows("SELECT DISTINCT fault FROM model_score WHERE fault <> ''")
    assert dropped == [("it is not loaded",)]
    assert curable.state_of("model", model) == "CHAMPION"


def test_a_champion_that_cannot_be_loaded_anew_is_told_of_and_the_one_before_takes_over(hopeless):
    before, model = hopeless.made
    for key in (before, model):
        hopeless.promote(key)
    hopeless.damage(model)
    hopeless.forget()
    tried, told, report = given_up(hopeless, "scores")
    assert f"failed: Refused: model {model[:12]} cannot be loaded anew" in tried
    assert re.search(r"; nothing helped .*Refused: .* model.onnx: expected", told)
    assert "reload-model (low risk, 1 of 6 today): failed" in report
    hopeless.until_state("model", "QUARANTINED", key=model)
    hopeless.until_state("model", "CHAMPION", key=before)
    hopeless.until_state("check", "WELL", key="scores")


# -- a derived table -------------------------------------------------------------------------------


def proposal(place) -> str:
    """Wait until a table was found to be changed, and return the run that waits for a person."""
    place.until_state("check", "ESCALATED", key="tables", seconds=40)
    sql = "SELECT run, risk FROM healing_attempts WHERE remedy = ? AND state = 'PROPOSED'"
    ((run, risk),) = place.rows(sql, "restore-table")
    assert risk == "high"
    (told,) = alerts(place, "check tables: 1 rows of `instance` differ%approve run=%")
    assert f"(high risk): `bot do approve run={run}`" in told
    assert "restore-table (high risk, 0 of 3 today): not tried" in report_of(place, "tables")
    return run


def test_a_table_that_was_changed_is_derived_anew_once_a_person_approves(changed):
    run = proposal(changed)
    assert changed.state_of("guard") == "PAUSED"
    assert changed.do("approve", run=run)["state"] == "DONE"
    changed.until_state("check", "WELL", key="tables", seconds=40)
    assert changed.state_of("guard") != "PAUSED"
    sql = "SELECT state, said FROM healing_attempts WHERE run = ?"
    assert changed.rows(sql, run) == [
        ("DONE", "0 rows of `instance` differ from the audit, limit 0, after restore-table")
    ]
    (copy,) = changed.backups.glob("*.damaged")
    assert copy.stat().st_size > 100_000


def test_a_table_that_cannot_be_derived_anew_is_told_of(sealed):
    run = proposal(sealed)
    assert sealed.do("approve", run=run)["state"] == "DONE"
    like = "check tables: restore-table did not help: %"
    (told,) = until(lambda: alerts(sealed, like), "people are told", 40)
    assert "unable to open database" in told
    assert sealed.state_of("check", "tables") == "ESCALATED"
    assert sealed.rows("SELECT state FROM healing_attempts WHERE run = ?", run) == [("FAILED",)]
    assert sealed.state_of("guard") == "PAUSED"


# -- the example -----------------------------------------------------------------------------------


def test_the_documented_example_makes_the_backup_that_is_missing(curable):
    assert "0 h since the newest backup" in cured(curable, "make-backup", "backup")
    assert curable.rows("SELECT risk FROM remedy WHERE name = 'make-backup'") == [("low",)]


def test_the_documented_example_where_no_backup_can_be_made(sealed):
    tried, told, report = given_up(sealed, "backup")
    assert "make-backup" in tried
    assert "; nothing helped (" in told
    assert "make-backup (low risk, 1 of 3 today): failed" in report
