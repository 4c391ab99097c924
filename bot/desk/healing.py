"""Reads healing for people: what may be tried, how often it was, what is tried now, what waits."""

from __future__ import annotations

from msgspec import Struct

from bot.store.database import Connection


class RemedyStanding(Struct, frozen=True):
    """A remedy: attempts within the last day, at most ``a_day``; how often it cured and failed."""

    remedy: str
    checks: str
    risk: str
    today: int
    a_day: int
    cured: int
    failed: int


class AttemptStanding(Struct, frozen=True):
    """An attempt that is not at its end; one that is PROPOSED waits for a person."""

    run: str
    at: str
    check: str
    remedy: str
    risk: str
    state: str
    said: str


class Healing(Struct, frozen=True):
    """How healing stands. ``escalations`` counts what could not be healed, ever."""

    remedies: tuple[RemedyStanding, ...]
    attempts: tuple[AttemptStanding, ...]
    escalations: int


def read(connection: Connection) -> Healing:
    """Return how healing stands."""
    remedies = connection.execute(
        "SELECT remedy, checks, risk, today, a_day, cured, failed FROM healing ORDER BY remedy"
    )
    attempts = connection.execute(
        "SELECT run, at, name, remedy, risk, state, said FROM healing_attempts"
        " WHERE state IN ('PROPOSED', 'RUNNING', 'VERIFYING') ORDER BY seq"
    )
    (escalations,) = connection.execute("SELECT count(*) FROM escalation").fetchone()
    return Healing(
        tuple(RemedyStanding(*row) for row in remedies),
        tuple(AttemptStanding(*row) for row in attempts),
        escalations,
    )
