"""Twenty deaths of the whole program, exec'd anew each time, under an operator and a watcher."""

import os
import random
import signal
import time

import pytest

from tests.faults import checker
from tests.faults.places import Place, Watcher, merged, toml, until

SEED = 20_260_603
KILLS = 20
WEIGHTS = {"hold": 3, "reduce": 2, "kill": 2}


@pytest.mark.timeout(200)
def test_twenty_kills_of_the_whole_program(tmp_path):
    chance = random.Random(SEED)
    place = Place(tmp_path / "p")
    watcher = Watcher(place)
    commands = 0
    try:
        place.start_exchange()
        watcher.start()
        for number in range(KILLS):
            bot = place.start_bot("--for", "60s", "--config", str(place.file))
            if number % 5 != 4:  # every fifth dies while it boots
                until_running(watcher, bot, place)
                commands += operate(place, chance)
            time.sleep(chance.random() * 0.9)  # the fault itself: an instant nobody chose
            os.kill(bot.pid, signal.SIGKILL)
            bot.wait()
            watcher.process_states.clear()
        finish(place)
    finally:
        watcher.finish()
        place.close()
    report = checker.check(place.folder, finished=True)
    print(f"\nkills {KILLS}, commands {commands}\n{report}")
    assert not report.violations, f"seed {SEED}, {place.folder}\n{report}"
    assert report.orders
    assert report.acknowledged
    assert report.beats
    assert commands
    moved = place.rows(
        "SELECT DISTINCT machine FROM transition WHERE trigger = 'Commanded'", alive=False
    )
    assert {("hold",), ("kill",), ("guard",)} & set(moved)


def until_running(watcher, bot, place) -> None:
    def running() -> bool:
        assert bot.poll() is None, place.said()[-2000:]
        return "RUNNING" in watcher.process_states

    until(running, lambda: f"the bot runs; {place.said()[-1000:]}", 30)


def operate(place, chance) -> int:
    """Send a command that fits the state; loosen at once what an earlier run left tight."""
    if place.state_of("hold") == "HELD":
        place.ask("release")
    elif place.state_of("kill") != "ARMED":
        place.ask("rearm")
    elif chance.random() < 0.5:
        place.ask(chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0])
    else:
        return 0
    return 1


def finish(place) -> None:
    """Run once more, close what is open, and end clean."""
    place.file.write_text(toml(merged(place.config, {"shutdown": {"flatten": True}})))
    bot = place.start_bot("--for", "2s", "--config", str(place.file))
    assert bot.wait(60) == 0, place.said()[-3000:]
    assert place.state_of("process") == "STOPPED"
