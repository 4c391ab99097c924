"""Parameters: a setting that an operator changed for a time. SET while it holds, EXPIRED at its end.

Invariants: every parameter has an expiry and an owner; it never widens the profile's ceiling; the
effective settings are the configured ones with the live parameters on top, and nothing else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bot.core.events import Commanded, Started, Ticked
from bot.core.limits import HIGHER, LOWER
from bot.core.machine import BORN, Row, Table
from bot.core.settings import (
    cross_rules,
    keys,
    value_of,
    why_not_value,
    why_wider,
    with_value,
)
from bot.core.world import Override

if TYPE_CHECKING:
    from bot.core.settings import Settings
    from bot.core.turn import Turn
    from bot.core.world import World


class ParameterState(StrEnum):
    """Whether an override is in force."""

    SET = "SET"
    EXPIRED = "EXPIRED"


SET, EXPIRED = ParameterState


def told(world: World, event: Commanded, key: str) -> str | None:
    """A named person set it."""
    if event.verb != "set-parameter" or event.args.get("name") != key:
        return None
    return f"{event.operator}: {event.args['value']} for {event.args['seconds']} s: {event.reason}"


def over(world: World, event: Ticked, key: str) -> str | None:
    """Its time is over."""
    override = world.parameters[key]
    return (
        f"{override.value} set by {override.operator} expired"
        if world.at >= override.expires_at
        else None
    )


# fmt: off
PARAMETER = Table("parameter", ParameterState, (
    #   from                  on         when   to
    Row((BORN, SET, EXPIRED), Commanded, told,  SET),
    Row(SET,                  Ticked,    over,  EXPIRED),
), key="setting")
# fmt: on


FIXED = (
    "profile",
    "market.",
    "roles.",
    "strategy.ema_",
    "strategy.adx_period",
    "strategy.atr_period",
)
"""What is built in at the start: symbols, indicators with their history, and who may do what."""


def parse(text: str) -> Any:
    """Return the number or truth value that a text stands for, or the text itself."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def why_not(world: World, args: dict[str, str]) -> str | None:
    """Tell why a parameter may not be set, or None."""
    known = {key: (hint, meta) for key, hint, meta in keys()}
    name, text, seconds = args.get("name", ""), args.get("value", ""), args.get("seconds", "")
    if name not in known or name.startswith(FIXED):
        return f"name: expected a setting that may change at run time, found {name!r}"
    if not (seconds.isdecimal() and len(seconds) <= 6 and 1 <= int(seconds) <= 7 * 86_400):
        return f"seconds: expected 1 to 604800, found {seconds!r}"
    hint, meta = known[name]
    value = parse(text)
    wrong = why_not_value(hint, value) or why_wider(world.base, name, value, meta)
    if wrong:
        return f"{name}: {wrong}"
    return next(cross_rules(with_value(world.settings, name, value)), None)


def why_two(world: World, event: Commanded) -> str | None:
    """For a limit looser than the file says."""
    name, value = event.args["name"], parse(event.args["value"])
    tighter = next((meta.extra or {}).get("tighter") for key, _, meta in keys() if key == name)
    configured = value_of(world.base, name)
    looser = {LOWER: value > configured, HIGHER: value < configured} if tighter else {}
    if not looser.get(str(tighter)):
        return None
    return f"it loosens {name} from {configured:g} to {value:g}"


def set_parameter(turn: Turn, event: Commanded) -> None:
    """Apply an accepted ``set-parameter``."""
    name = event.args["name"]
    expires_at = turn.world.at + int(event.args["seconds"]) * 1000
    value = parse(event.args["value"])
    if isinstance(value_of(turn.world.base, name), float):
        value = float(value)  # one value has one form, so that equal worlds have equal bytes
    override = Override(value, expires_at, event.operator)
    turn.fire(PARAMETER, event, name)
    turn.put("parameters", name, override)
    apply(turn)


def expire(turn: Turn, event: Ticked) -> None:
    """End the parameters whose time is over."""
    for name, override in list(turn.world.parameters.items()):
        if turn.world.at >= override.expires_at and turn.fire(PARAMETER, event, name):
            turn.put("parameters", name, None)
            apply(turn)


def apply(turn: Turn, event: Started | None = None) -> None:
    """Set the effective settings: the configured ones with the live parameters on top.

    A parameter that a changed configuration no longer allows is dropped, not applied.
    """
    settings, waiting = turn.world.base, dict(sorted(turn.world.parameters.items()))
    while name := next((name for name in waiting if _fits(turn.world, settings, name)), None):
        settings = with_value(settings, name, waiting.pop(name).value)  # it may let others fit
    turn.set(settings=settings)


def _fits(world: World, settings: Settings, name: str) -> bool:
    """Tell whether a parameter may be applied on top of these settings."""
    value = world.parameters[name].value
    meta = next(meta for key, _, meta in keys() if key == name)
    wider = why_wider(world.base, name, value, meta)
    return not wider and not any(cross_rules(with_value(settings, name, value)))
