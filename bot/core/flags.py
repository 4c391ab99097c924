"""Flags: the settings that are on or off, each declared with its birth and its end.

A flag is set for a time like every parameter (``core.parameters``). Invariants: every setting that
is true or false is declared here; one past its end is an error at the start, so that no dead switch
stays in the code; the name of one that was taken out is never used again, so that no old
configuration wakes what it did not mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from bot.core.settings import keys

PERMANENT = "permanent"


class Flag(Struct, frozen=True):
    """A switch; dates are ISO 8601. ``expires``: its first day without it, or ``permanent``."""

    name: str
    born: str
    expires: str = PERMANENT


FLAGS: dict[str, Flag] = {
    flag.name: flag
    for flag in (
        Flag("alerts.digest", "2026-11-21"),
        Flag("healing.enabled", "2026-11-21"),
        Flag("kill.flatten", "2026-11-21"),
        Flag("models.scoring", "2026-11-21"),
        Flag("shutdown.flatten", "2026-11-21"),
    )
}
"""Every flag there is, by the key of its setting, which has its meaning and its default."""

RETIRED: Mapping[str, str] = {}
"""Flags that were taken out, and the day of it."""


def switches() -> list[str]:
    """Return the keys of all settings that are true or false."""
    return sorted(key for key, hint, _ in keys() if hint.__origin__ is bool)


def wrong(
    today: str,
    flags: Iterable[Flag] | None = None,
    retired: Mapping[str, str] = RETIRED,
    known: Iterable[str] | None = None,
) -> Iterator[str]:
    """Yield a sentence for each flag that is past its end, undeclared, or used again."""
    known = switches() if known is None else known
    declared = FLAGS if flags is None else {flag.name: flag for flag in flags}
    for name in sorted({*declared, *known}):
        flag = declared.get(name)
        if flag is None:
            yield f"{name}: expected a declaration in bot/core/flags.py, found none"
        elif name not in known:
            yield f"{name}: expected a setting that is true or false, found none"
        elif name in retired:
            yield f"{name}: expected a new name, found one that was retired on {retired[name]}"
        elif flag.expires != PERMANENT and flag.expires <= today:
            yield f"{name}: expected a flag before its end, {flag.expires}; found {today}: take it out"
