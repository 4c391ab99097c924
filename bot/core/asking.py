"""Questions to the venue: each is asked once while its answer is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from bot.core.effects import Effect, Reconcile

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

E = TypeVar("E", bound=Effect)


def pending(world: World, kind: type[E]) -> list[E]:
    """Return the effects of a kind that are on their way."""
    return [d.effect for d in world.deliveries.values() if isinstance(d.effect, kind)]


LOOK_BACK_MS = {"light": 0, "full": 3_600_000, "day": 90_000_000}
"""How far before the last reading each depth begins: an hour, a day and an hour."""


def account_question(world: World, depth: str = "light") -> Reconcile:
    """Return the question that reads the whole account, and every order not at its end."""
    orders = tuple((order.order, order.symbol) for order in world.orders.values())
    account = world.account
    since = account.fills_since - LOOK_BACK_MS[depth]
    if depth != "light":
        since = max(since, account.began_at, account.fills_floor)
    return Reconcile(orders=orders, since=since, depth=depth)


def ask_account(turn: Turn) -> None:
    """Have the account read, unless that is on its way; as deep as is due, or light ones go first for ever."""
    account, depth = turn.world.account, "light"
    if pending(turn.world, Reconcile):
        return
    if account.reread and turn.world.at >= account.reread_at:
        depth = account.reread
        turn.set(account=replace(account, reread=""))
    turn.emit(account_question(turn.world, depth))
