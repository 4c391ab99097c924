"""What callers of the command socket ask, as events: a command, or what a trainer tells."""

from __future__ import annotations

from bot.core.events import Commanded, Event
from bot.core.roles import VIEWER
from bot.core.world import World
from bot.edge.clock import MarketClock
from bot.edge.commands import Request
from bot.edge.roles import Caller
from bot.engine.models import heard
from bot.errors import Refused

ID_LENGTH_MAX, REASON_LENGTH_MAX = 64, 500


def asked(request: Request, caller: Caller, world: World, clock: MarketClock) -> Event:
    """Return a request as an event; the answer is what its run becomes. Raises Refused."""
    if request.op == "report":
        return _reported(request, caller, world, clock)
    if not request.id or len(request.id) > ID_LENGTH_MAX:
        raise Refused(f"id: expected 1 to {ID_LENGTH_MAX} characters, found {len(request.id)}")
    if request.id in world.commands:
        raise Refused(
            f"id: {request.id} was used before; see operator_actions for what became of it"
        )
    now = clock.now()
    return Commanded(
        at=now,
        id=request.id,
        verb=request.verb,
        args=request.args,
        operator=caller.name,
        identity="kernel",
        reason=request.reason[:REASON_LENGTH_MAX],
        expires_at=now + clock.real_ms(request.ttl) if request.ttl else 0,
        role=caller.role,
        uid=caller.uid,
    )


def _reported(request: Request, caller: Caller, world: World, clock: MarketClock) -> Event:
    """Return what a trainer tells; the answer is what its training becomes."""
    if caller.role == VIEWER:
        raise Refused(f"expected role operator for a report, found viewer (uid {caller.uid})")
    return heard(request.event, world, clock.now(), caller.name)
