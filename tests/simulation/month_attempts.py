"""Whether the bot tried to heal itself more often than it may, by the transitions and by true time.

The bot counts time that it lived, which no clock moves; here the time of the simulation counts, which
goes on while the bot is dead. So what is within its limits there is within them here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bot.core.remedy import Remedy
    from bot.core.world import World
    from bot.store.database import Connection

SLACK_SECONDS = 600.0
"""A clock that leaps ahead may count for a minute that nobody lived; a day has few of those."""
DAY_SECONDS = 86_400.0 - SLACK_SECONDS
LEAP_SECONDS = 61.0
BY_THE_BOT = " by the bot for check "


class Begun(NamedTuple):
    """An attempt that was begun: the simulation's time, s."""

    at: float
    remedy: str
    check: str


class Attempts:
    """Follows the runs that the bot proposes. ``declared``: what may be tried, and how often."""

    def __init__(self, declared: Callable[[], Iterable[Remedy]]) -> None:
        self.declared = declared
        self.count = 0
        self._new: list[Begun] = []
        self._day: list[Begun] = []
        self._proposed: dict[str, tuple[str, str]] = {}

    def moved(self, run: str, dest: str, reason: str, at: float) -> None:
        """Hear of a transition of a run."""
        if dest == "PROPOSED" and BY_THE_BOT in reason:
            remedy, _, rest = reason.partition(BY_THE_BOT)
            self._proposed[run] = (remedy, rest.partition(": ")[0])
        elif dest == "RUNNING" and run in self._proposed:
            self.count += 1
            self._new.append(Begun(at, *self._proposed.pop(run)))

    def wrong(self, world: World) -> Iterator[str]:
        """Yield each limit that was not kept since this was asked last."""
        declared = {remedy.name: remedy for remedy in self.declared()}
        for one in self._new:
            self._day = [other for other in self._day if other.at > one.at - DAY_SECONDS]
            self._day.append(one)
            yield from self._over(one, declared[one.remedy], world.settings.healing.day_max)
        self._new.clear()

    def _over(self, one: Begun, remedy: Remedy, most: int) -> Iterator[str]:
        mine = [other for other in self._day if other.remedy == one.remedy]
        if len(mine) > remedy.attempts:
            text = f"{one.remedy} was tried {len(mine)} times within a day"
            yield f"{text}, limit {remedy.attempts}"
        if len(self._day) > most:
            yield f"{len(self._day)} remedies were tried within a day, limit {most}"
        same = [other.at for other in mine if other.check == one.check][-2:]
        if len(same) > 1 and same[1] - same[0] < remedy.cool_real_seconds - LEAP_SECONDS:
            yield f"{one.remedy} was tried on {one.check} again after {same[1] - same[0]:.0f} s"


def unreported(connection: Connection) -> str | None:
    """Tell whether there is an escalation without a report, or None."""
    escalated, rows, reports = connection.execute(
        "SELECT (SELECT count(*) FROM transition WHERE machine = 'check' AND dest = 'ESCALATED'),"
        " (SELECT count(*) FROM escalation),"
        " (SELECT count(*) FROM outbox WHERE kind = 'Report')"
    ).fetchone()
    if escalated == rows == reports:
        return None
    return f"{escalated} checks were escalated, with {rows} rows and {reports} reports"
