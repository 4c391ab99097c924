"""One database, one bot: the second is refused and told who holds the lease."""

import signal


def test_a_second_bot_is_refused_and_named_the_holder(place):
    place.start_exchange()
    first = place.start_bot("--config", str(place.file))
    place.until_state("process", "RUNNING")
    head = place.rows("SELECT count(*) FROM journal WHERE kind = 'Started'")
    second = place.start_bot("--config", str(place.file), "--for", "5s", out="second.out")
    assert second.wait(20) == 3, place.said("second.out")
    assert f"pid {first.pid}" in place.said("second.out")
    assert first.poll() is None
    assert place.rows("SELECT count(*) FROM journal WHERE kind = 'Started'") == head
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0, place.said()
    third = place.start_bot("--config", str(place.file), "--for", "1s", out="third.out")
    assert third.wait(40) == 0, place.said("third.out")
