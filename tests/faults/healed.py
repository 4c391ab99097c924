"""Reads what a bot tried to heal, and waits for what came of it."""

from __future__ import annotations

from tests.faults.places import Place, until


def attempts(place: Place, check: str) -> dict[str, tuple[str, str]]:
    """Return what came of each remedy that was tried on a check: its state, and a sentence."""
    sql = "SELECT remedy, state, said FROM healing_attempts WHERE name = ? ORDER BY seq"
    return {remedy: (state, said) for remedy, state, said in place.rows(sql, check)}


def until_tried(place: Place, check: str, remedy: str, state: str, seconds: float = 40) -> str:
    """Wait until a remedy ended so; return the sentence."""
    until(
        lambda: attempts(place, check).get(remedy, ("",))[0] == state,
        lambda: f"{remedy} of {check} is {state}; {attempts(place, check)}",
        seconds,
    )
    return attempts(place, check)[remedy][1]


def until_check(place: Place, check: str, state: str) -> str:
    place.until_state("check", state, key=check, seconds=40)
    sql = "SELECT reason FROM instance WHERE machine = 'check' AND key = ?"
    return place.rows(sql, check)[0][0]


def until_escalated(place: Place, check: str) -> tuple[str, str]:
    """Wait until nothing helped; return what people were told, and the report."""
    sql = "SELECT file FROM escalations WHERE name = ?"
    ((name,), *_) = until(lambda: place.rows(sql, check), f"{check} is an escalation", 40)
    file = place.folder / "reports" / name
    until(file.exists, "the report is there")
    told = (
        "SELECT json_extract(body, '$.text') FROM outbox WHERE kind = 'Notify'"
        " AND json_extract(body, '$.text') LIKE ?"
    )
    rows = until(lambda: place.rows(told, f"check {check}: %"), "people were told")
    return rows[-1][0], file.read_text()
