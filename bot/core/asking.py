"""Questions to the venue: each is asked once while its answer is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from bot.core.effects import Effect, Reconcile

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

E = TypeVar("E", bound=Effect)


def pending(world: World, kind: type[E]) -> list[E]:
    """Return the effects of a kind that are on their way."""
    return [d.effect for d in world.deliveries.values() if isinstance(d.effect, kind)]


def account_question(world: World) -> Reconcile:
    """Return the question that reads the whole account, and every order not at its end."""
    orders = tuple((order.order, order.symbol) for order in world.orders.values())
    return Reconcile(orders=orders, since=world.account.fills_since)


def ask_account(turn: Turn) -> None:
    """Have the account read, unless that is on its way."""
    if not pending(turn.world, Reconcile):
        turn.emit(account_question(turn.world))
