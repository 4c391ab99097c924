"""Tells how far the account is from each of its limits, with the settings that are in force."""

from __future__ import annotations

import json

import msgspec
from msgspec import Struct

from bot.core.settings import Settings, with_value
from bot.desk.views import EquityMark
from bot.store.database import Connection


class Distance(Struct, frozen=True):
    """A figure and its limit, both fractions of 1. ``floor``: it must stay above, not below."""

    name: str
    now: float
    limit: float
    then: str
    floor: bool = False

    @property
    def used(self) -> float:
        """How much of the way to the limit is gone: 1 is at the limit or beyond."""
        if self.floor:
            return 1.0 if self.now <= self.limit else max(0.0, (1 - self.now) / (1 - self.limit))
        return max(0.0, self.now / self.limit) if self.limit else 1.0


def settings(connection: Connection) -> Settings | None:
    """Return the settings in force: those of the newest start, with the parameters set since.

    None if the bot never started, or if its settings have another shape than this code knows.
    """
    row = connection.execute(
        "SELECT json_extract(body, '$.settings') FROM journal WHERE kind = 'Started'"
        " ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    try:
        found = msgspec.json.decode(row[0], type=Settings)
        for name, value in _overrides(connection):
            found = with_value(found, name, json.loads(value))
    except (msgspec.MsgspecError, ValueError, AttributeError, TypeError):
        return None
    return found


def _overrides(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT i.key, json_extract(j.body, '$.args.value') FROM instance i"
        " JOIN transition t ON t.machine = 'parameter' AND t.key = i.key AND t.version = i.version"
        " JOIN journal j ON j.seq = t.seq WHERE i.machine = 'parameter' AND i.state = 'SET'"
    ).fetchall()


def distances(
    connection: Connection, found: Settings | None, mark: EquityMark | None
) -> list[Distance]:
    """Return the distance to each limit of guard and kill switch; nothing before a first review.

    The guard takes its drawdown from a peak of its own, which is never higher: so what stands here
    is the distance at least.
    """
    if found is None or mark is None:
        return []
    kill, guard = found.kill, found.guard
    told = [
        Distance("day loss", mark.day_loss, kill.daily_loss_max, "kill"),
        Distance("drawdown", mark.drawdown, kill.drawdown_max, "kill"),
        Distance("drawdown", mark.drawdown, guard.paused_drawdown, "guard PAUSED"),
        Distance("drawdown", mark.drawdown, guard.reduced_drawdown, "guard REDUCED"),
    ]
    won, trades = _newest(connection, guard.window)
    if trades >= guard.trades_min:
        share, name = won / trades, f"win rate of {trades}"
        told += [
            Distance(name, share, guard.paused_win_rate, "guard PAUSED", floor=True),
            Distance(name, share, guard.reduced_win_rate, "guard REDUCED", floor=True),
        ]
    return told


def _newest(connection: Connection, window: int) -> tuple[int, int]:
    """Return how many of the newest round trips were won, and how many there are."""
    row = connection.execute(
        "SELECT total(CAST(pnl AS REAL) > 0), count(*) FROM"
        " (SELECT pnl FROM trade WHERE shadow = 0 ORDER BY id DESC LIMIT ?)",
        (window,),
    ).fetchone()
    return int(row[0]), int(row[1])
