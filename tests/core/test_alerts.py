"""Alerts: told once, counted after, gathered in a storm, and sent again until somebody answers."""

import pytest

from bot.core.alerts import DIGEST, SCREEN
from bot.core.effects import Notify
from bot.core.events import (
    ClockJumped,
    Delivered,
    Latched,
    Recovered,
    StorageChecked,
    Ticked,
    VenueTroubled,
)
from bot.core.world import DAY_MS
from tests.given import BTC, T, a_world, but, commanded, go, review, started, ticked, trades, tuned

MAIL, CHAT, PHONE = "mailto-1", "discord-2", "json-3"
MINUTE, HOUR = 60, 3_600


def told_world(rate=1.0, **settings):
    """Return a world with two channels and a second group of one."""
    world = a_world(settings=tuned(**settings), rate=rate)
    return but(world, channels=(MAIL, CHAT), second=(PHONE,))


def new_code(world, code="1"):
    """The venue says something new: a warning whose key is the code."""
    return VenueTroubled(at=world.at, kind="unseen code", reason=f"code {code}")


def low(world, mb=100):
    """The disk is low: a critical that is no latch."""
    return StorageChecked(at=world.at, free_mb=mb)


def sent(told):
    """Return each message to people as ``(channel, first words)``."""
    return [(n.channel, n.text.split(";")[0]) for n in told.effects(Notify) if n.channel != SCREEN]


def after(world, seconds):
    return go(world, Ticked(at=world.at + int(seconds * 1000), marks={}))


def states(world):
    return {a.notify.key: world.state("alert", key) for key, a in world.alerts.items()}


def at_hour(world, hour):
    """Return the world at an hour of the next day, UTC."""
    return but(world, at=(world.at // DAY_MS + 1) * DAY_MS + int(hour * HOUR * 1000))


# -- one alert -------------------------------------------------------------------------------------


def test_each_channel_gets_a_message_of_its_own_and_the_screen_too():
    told = go(told_world(), low(told_world()))
    assert [n.channel for n in told.effects(Notify)] == [SCREEN, MAIL, CHAT]
    (one,) = {but(n, channel="") for n in told.effects(Notify)}
    assert (one.key, one.severity, one.count) == ("storage account LOW", "critical", 1)
    assert (one.runbook, one.since) == ("disk", told.world.at)
    assert told.reason("alert") == "storage account LOW (critical): storage: 100 MB free"


def test_what_matters_too_little_is_on_the_screen_only():
    world = told_world()
    assert not sent(go(world, commanded(world, "hold")))
    talkative = told_world(alerts__severity_min="info")
    assert [c for c, _ in sent(go(talkative, commanded(talkative, "hold")))] == [MAIL, CHAT]


def test_the_same_alert_is_counted_within_its_window_and_sent_again_after_it():
    world = told_world()
    told = go(world, *[new_code(world)] * 5)
    assert [channel for channel, _ in sent(told)] == [MAIL, CHAT]
    ((key, alert),) = told.world.alerts.items()
    assert alert.notify.count == 5
    early = after(told.world, 599)
    assert key in early.world.alerts
    late = after(early.world, 1)
    assert (late.world.alerts, late.reason("alert")) == ({}, "it happened 5 times")
    assert len(sent(go(late.world, new_code(world)))) == 2


def test_another_severity_of_the_same_key_is_another_alert():
    world = told_world()
    world = go(world, new_code(world)).world
    ((key, alert),) = world.alerts.items()
    worse = but(alert.notify, severity="critical")
    assert (
        len(go(but(world, alerts={key: but(alert, notify=worse)}), new_code(world)).effects(Notify))
        == 3
    )


def test_a_duration_is_multiplied_by_the_markets_rate():
    world = told_world(rate=60.0)
    world = go(world, new_code(world)).world
    assert states(after(world, 60 * 600 - 1).world)
    assert not states(after(world, 60 * 600).world)


# -- a storm ---------------------------------------------------------------------------------------


def storm(world, count, first=0):
    return go(world, *(new_code(world, n) for n in range(first, first + count)))


def test_more_than_so_many_become_one_digest():
    told = storm(told_world(alerts__storm_max=3), 8)
    assert len(sent(told)) == 3 * 2, "three, to two channels each"
    assert sorted(states(told.world).values()) == ["QUEUED"] * 5 + ["RAISED"] * 3
    quiet = after(told.world, 599)
    assert not sent(quiet)
    digest = after(quiet.world, 1)
    messages = [n for n in digest.effects(Notify) if n.channel != SCREEN]
    assert [(n.channel, n.key, n.severity, n.count) for n in messages] == [
        (MAIL, DIGEST, "warning", 5),
        (CHAT, DIGEST, "warning", 5),
    ]
    lines = messages[0].text.splitlines()
    assert lines[0].startswith("5 alerts were held back since ")
    assert lines[1] == "- warning: the venue said something new: code 3"
    assert len(lines) == 6
    assert not digest.world.alerts
    assert not digest.world.digest_at


def test_a_digest_has_so_many_lines_and_says_how_many_it_leaves_out():
    told = storm(told_world(alerts__storm_max=1), 31)
    (text,) = {n.text for n in after(told.world, 600).effects(Notify)}
    assert len(text.splitlines()) == 22
    assert text.splitlines()[-1] == "and 10 more: `bot alerts list`"


def test_what_is_counted_in_a_digest_says_how_often_it_happened():
    world = storm(told_world(alerts__storm_max=1), 2).world
    world = go(world, *[new_code(world, 1)] * 3).world
    (text,) = {n.text for n in after(world, 600).effects(Notify)}
    assert "- warning ×4: the venue said something new: code 1" in text


def test_infos_that_are_not_sent_fill_no_digest():
    world = told_world(alerts__storm_max=1)
    for _ in range(3):
        world = go(world, commanded(world, "hold"), commanded(world, "release")).world
    assert len(sent(go(world, new_code(world)))) == 2


def test_a_critical_is_never_put_in_a_digest():
    world = storm(told_world(alerts__storm_max=1), 3).world
    assert [channel for channel, _ in sent(go(world, low(world)))] == [MAIL, CHAT]


def test_alerts_are_bounded_and_an_unanswered_critical_goes_last():
    world = told_world(alerts__open_max=10, alerts__storm_max=1000)
    world = go(world, low(world), *(new_code(world, n) for n in range(30))).world
    told = after(world, 1)
    assert len(told.world.alerts) == 10
    assert states(told.world)["storage account LOW"] == "RAISED"
    assert told.reason("alert") == "more than 10 are open"


# -- quiet hours -----------------------------------------------------------------------------------


NIGHT = {"alerts__quiet_from_hour": 22.5, "alerts__quiet_until_hour": 7.0}


@pytest.mark.parametrize(
    ("hour", "held"),
    [(22.49, False), (22.5, True), (0, True), (6.99, True), (7, False), (12, False)],
)
def test_quiet_hours_may_pass_midnight(hour, held):
    world = at_hour(told_world(**NIGHT), hour)
    assert (sent(go(world, new_code(world))) == []) is held


def test_what_was_held_back_is_told_at_the_end_of_the_quiet_hours():
    world = at_hour(told_world(**NIGHT), 23)
    told = go(world, new_code(world, 1), new_code(world, 2))
    assert told.reason("alert").startswith("unseen code code 2 (quiet hours until 07:00 UTC)")
    still = after(told.world, 8 * HOUR - 1)
    assert not sent(still)
    morning = after(still.world, 1)
    assert [channel for channel, _ in sent(morning)] == [MAIL, CHAT]


def test_the_digest_of_a_storm_waits_for_the_end_of_the_quiet_hours_too():
    world = at_hour(told_world(alerts__storm_max=1, **NIGHT), 22.45)
    world = storm(world, 3).world
    assert not sent(after(world, HOUR))
    assert sent(after(world, 9 * HOUR))


def test_quiet_hours_mute_no_critical_and_no_latch():
    world = at_hour(told_world(**NIGHT), 3)
    world = go(world, ticked(world)).world
    assert sent(go(world, low(world)))
    assert sent(go(world, Latched(at=world.at, reason="r")))
    assert sent(go(world, commanded(world, "kill")))
    paused = review(but(world, closed=trades(0, 10)))
    assert paused.world.state("guard") == "PAUSED"
    assert [text for _, text in sent(paused)] == [
        "guard leaves NORMAL: win rate 0% under 30% over 10 trades"
    ] * 2


def test_a_latch_that_closes_again_is_news():
    world = told_world()
    held = go(world, Latched(at=world.at, reason="one"))
    free = go(held.world, commanded(held.world, "release"))
    again = go(free.world, Latched(at=free.world.at, reason="two"))
    assert [text for _, text in sent(again)] == ["entries held: two"] * 2


# -- until somebody answers ------------------------------------------------------------------------


def life(world, seconds, step=30):
    """Return when which channels were told while time passes, minutes."""
    found, begun = [], world.at
    while world.at < begun + seconds * 1000:
        told = after(world, step)
        world = told.world
        if channels := [channel for channel, _ in sent(told)]:
            found.append(((world.at - begun) / 60_000, channels))
    return found, world


def test_a_critical_that_nobody_acknowledges_is_sent_again_and_escalates():
    world = go(told_world(), low(told_world())).world
    found, world = life(world, 2.5 * HOUR)
    assert found == [
        (5, [MAIL, CHAT]),
        (15, [PHONE]),
        (75, [MAIL, CHAT, PHONE]),
        (135, [MAIL, CHAT, PHONE]),
    ]
    assert states(world) == {"storage account LOW": "ESCALATED"}


def test_a_message_that_is_sent_again_says_for_how_long_nobody_answered():
    world = go(told_world(), low(told_world())).world
    again = after(world, 300).effects(Notify)
    assert {n.text for n in again} == {"storage: 100 MB free; nobody acknowledged it for 5 min"}


def test_without_second_channels_the_first_are_told_again():
    world = but(go(told_world(), low(told_world())).world, second=())
    assert life(world, 16 * MINUTE)[0] == [(5, [MAIL, CHAT]), (15, [MAIL, CHAT])]


@pytest.mark.parametrize("name", ["id", "key"])
@pytest.mark.parametrize("escalated", [False, True])
def test_an_acknowledged_alert_is_not_sent_again(name, escalated):
    world = go(told_world(), low(told_world())).world
    if escalated:
        world = after(world, 900).world
    ((key, alert),) = world.alerts.items()
    told = go(world, commanded(world, "ack", alert=key if name == "id" else alert.notify.key))
    assert (
        told.reason("run") == f"alert {key if name == 'id' else alert.notify.key} is ACKNOWLEDGED"
    )
    (answer,) = [s.reason for s in told.steps if s.dest == "ACKNOWLEDGED"]
    assert answer == "ana: I say so"
    found, world = life(told.world, 2 * HOUR)
    assert (found, world.alerts) == ([], {})


def test_what_goes_on_happening_after_it_was_acknowledged_is_counted():
    world = go(told_world(), new_code(told_world())).world
    world = go(world, commanded(world, "ack", alert="unseen code code 1")).world
    for _ in range(5):
        world = after(world, 500).world
        told = go(world, new_code(world))
        assert not sent(told)
        world = told.world
    assert states(world)["unseen code code 1"] == "ACKNOWLEDGED"


def test_there_must_be_something_to_acknowledge():
    world = go(told_world(), low(told_world())).world
    refused = go(world, commanded(world, "ack", alert="nonsense"))
    assert refused.reason("run") == (
        "alert: expected the id or the key of an open alert, found 'nonsense'"
    )
    world = go(world, commanded(world, "ack", alert="storage account LOW")).world
    twice = go(world, commanded(world, "ack", alert="storage account LOW"))
    assert twice.reason("run") == "alert storage account LOW is ACKNOWLEDGED already"


@pytest.mark.parametrize(("symbol", "other"), [(None, BTC), (BTC, None)])
def test_who_lifts_a_latch_has_seen_its_alert_and_no_other(symbol, other):
    world = told_world()
    for one in (symbol, other):
        which = {"symbol": one} if one else {}
        world = go(world, commanded(world, "kill", **which), ticked(world, 1)).world
    told = go(world, commanded(world, "rearm", **({"symbol": symbol} if symbol else {})))
    (closed,) = [s for s in told.steps if s.machine == "alert" and s.dest == "CLOSED"]
    assert closed.reason == "rearm by ana: I say so"
    assert f"kill {other or 'account'} TRIPPED" in states(told.world)


def test_a_restart_neither_repeats_nor_forgets():
    world = go(told_world(), low(told_world()), new_code(told_world())).world
    told = [Delivered(at=world.at, effect=key) for key in world.deliveries]
    world = after(go(world, *told).world, 60).world
    again = go(
        world,
        started(world.at, channels=(MAIL, CHAT), second=(PHONE,)),
        Recovered(at=world.at, snapshot_seq=0, tail=world.seq),
    )
    crash = [text for _, text in sent(again)]
    assert len(crash) == 2
    assert all("crash recorded" in text for text in crash)
    assert set(states(world).items()) <= set(states(again.world).items())
    assert (4, [MAIL, CHAT]) in life(again.world, 10 * MINUTE)[0]


def test_a_process_that_was_away_for_long_escalates_at_once():
    world = go(told_world(), low(told_world())).world
    assert [channel for channel, _ in sent(after(world, 5 * HOUR))] == [PHONE]


def test_after_a_clock_that_jumps_back_an_alert_does_not_wait_for_the_future():
    world = go(told_world(), low(told_world()), ticked(told_world(), 10 * HOUR)).world
    world = go(world, ClockJumped(at=T, by_ms=-10 * HOUR * 1000)).world
    assert life(world, 6 * MINUTE)[0] == [(5, [MAIL, CHAT, PHONE])]


def test_after_a_clock_that_jumps_back_the_digest_does_not_wait_for_the_future():
    world = storm(told_world(alerts__storm_max=1), 2).world
    world = go(world, ClockJumped(at=T - 10 * HOUR * 1000, by_ms=-10 * HOUR * 1000)).world
    assert sent(after(world, 1))


def test_alerts_of_one_event_have_ids_of_their_own():
    world = storm(told_world(), 4).world
    assert len({alert.notify.alert for alert in world.alerts.values()}) == 4
    assert all(key == alert.notify.alert for key, alert in world.alerts.items())
