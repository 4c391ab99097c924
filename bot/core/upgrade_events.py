"""What happens when another build takes a database over."""

from __future__ import annotations

from bot.core.event import Event


class Upgraded(Event, frozen=True):
    """A person let another build migrate the database; ``backup`` is how it was before.

    ``before``, ``build``: which code decided and which does; ``migrations``: what ran for it.
    """

    before: str
    build: str
    migrations: tuple[str, ...]
    backup: str
    operator: str
    reason: str
