"""A treatment: a remedy as declared, with what carries it out; `treatments` finds every one."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from bot import engine
from bot.core.checks import CHECKS
from bot.core.remedy import ATTEMPTS_LEAST, ATTEMPTS_MOST, RISKS, Remedy
from bot.errors import Broken

if TYPE_CHECKING:
    from bot.config import Loaded
    from bot.core.events import Event
    from bot.core.model_events import ModelRefused, ModelVerified
    from bot.core.world import World
    from bot.edge.venues.bybit import Bybit
    from bot.engine.boot import Paths
    from bot.engine.link import Link
    from bot.engine.loop import Loop
    from bot.store.writer import Writer

PACKAGE = f"{engine.__name__}.healing"


class Means(Struct, frozen=True, kw_only=True):
    """What a treatment may use. ``post`` takes events: what only the core may do is asked of it.

    ``load`` verifies a model's files and loads them; the event that it returns is to be posted.
    """

    venue: Bybit
    paths: Paths
    loaded: Loaded
    loop: Loop
    link: Link
    post: Callable[[Event], None]
    load: Callable[[str], Awaitable[ModelVerified | ModelRefused]]

    def world(self) -> World:
        """Return the committed world."""
        return self.loop.world

    async def on_writer(self, work: Callable[[Writer], None]) -> None:
        """Have something done with the one writer, on its thread, between two turns."""
        await asyncio.wrap_future(self.loop.on_writer(work))


class Treatment(Struct, frozen=True):
    """A remedy and what carries it out.

    ``act(means, subject)`` returns what it did, in a sentence. ``subject`` is what the check is
    about (a symbol, a stream), or "". Raises a BotError or OSError that says why it could not.
    """

    remedy: Remedy
    act: Callable[[Means, str], Awaitable[str]]


@cache
def treatments() -> dict[str, Treatment]:
    """Return every treatment by its name, in the order of their modules. Raises Broken."""
    found: dict[str, Treatment] = {}
    package = importlib.import_module(PACKAGE)
    for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        treatment = getattr(importlib.import_module(f"{PACKAGE}.{module}"), "TREATMENT", None)
        if treatment is not None:
            why = _why_wrong(treatment.remedy, module)
            if why:
                raise Broken(f"remedy {treatment.remedy.name}: {why}")
            found[treatment.remedy.name] = treatment
    return found


def _why_wrong(remedy: Remedy, module: str) -> str | None:
    """Tell what is wrong with a declaration, or None."""
    if remedy.name != module.replace("_", "-"):
        return f"expected the name of its module, {module.replace('_', '-')}"
    unknown = {check.partition(" ")[0] for check in remedy.checks} - set(CHECKS)
    if unknown or not remedy.checks:
        return f"expected checks that exist, found {', '.join(sorted(unknown)) or 'none'}"
    if remedy.risk not in RISKS:
        return f"expected a risk of {', '.join(RISKS)}; found {remedy.risk!r}"
    if not ATTEMPTS_LEAST <= remedy.attempts <= ATTEMPTS_MOST:
        return (
            f"expected {ATTEMPTS_LEAST} to {ATTEMPTS_MOST} attempts a day, found {remedy.attempts}"
        )
    return None
