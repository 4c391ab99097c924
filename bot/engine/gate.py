"""The gate: the one place from which an order leaves, asked again right before the socket write."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot.core import controls, working
from bot.core.controls import Asked
from bot.core.effects import Amend, Submit
from bot.core.events import Accepted, Delivered, Doubted, Event, NotSent, Rejected, Undelivered
from bot.core.turn import Dispatch
from bot.core.world import World
from bot.edge.files import Halt
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.codes import Kind
from bot.edge.venues.send import Outcome, send_order
from bot.engine.latch import Latch
from bot.engine.timings import Timings


class Gate:
    """Sends orders through ``venue``; entries only if nothing forbids them at this very moment."""

    def __init__(
        self,
        venue: Bybit,
        halt: Halt,
        latch: Latch,
        world: Callable[[], World],
        timings: Timings | None = None,
    ) -> None:
        self.venue, self.halt, self.latch, self.world = venue, halt, latch, world
        self.timings = timings or Timings()

    def why_not(self, submit: Submit) -> str | None:
        """Tell every reason why an order may not leave now, or None.

        The pre-trade controls are asked again with the newest world; an exit answers only to those
        that show nonsense.
        """
        asked = Asked(
            submit.symbol,
            submit.side,
            submit.qty,
            submit.price,
            submit.reduce_only,
            submit.order,
            counted=True,
        )
        denials = controls.denials(self.world(), asked)
        found = [] if submit.reduce_only else list(self._now(submit))
        return "; ".join([*found, *(f"{d.control}: {d.reason}" for d in denials)]) or None

    def why_not_move(self, amend: Amend) -> str | None:
        """Tell every reason why an order may not be moved now, or None."""
        order = self.world().orders.get(amend.order)
        if order is None or order.ended:
            return f"{amend.order} is at its end"
        denials = working.denials(self.world(), order, amend.price, counted=True)
        return (
            "; ".join([*self._now(amend), *(f"{d.control}: {d.reason}" for d in denials)]) or None
        )

    def _now(self, effect: Submit | Amend) -> Iterator[str]:
        """Yield what speaks against an entry at this very moment and stands in no world yet."""
        now = self.venue.clock.now()
        if effect.expires_at is not None and now > effect.expires_at:
            yield f"its time was over {(now - effect.expires_at) / 1000:.1f} s ago"
        mark = self.halt.is_set()
        if mark:
            yield f"HALT set by {mark[0]}: {mark[1]}"
        if self.latch.reason:
            yield f"entries are latched off: {self.latch.reason}"

    async def send(self, dispatch: Dispatch) -> list[Event]:
        """Send an order once; return what became of the request as events."""
        submit: Submit = dispatch.effect
        why = self.why_not(submit)
        try:
            if why:
                return self._not_sent(dispatch, why)
            outcome = await send_order(self.venue, submit, lambda: self._last_word(submit))
        finally:
            self.timings.answered(submit.order)
        return self._events(dispatch, outcome)

    def _last_word(self, submit: Submit) -> str | None:
        """Tell the socket why the order may not leave, or None: then its first byte does, now."""
        why = self.why_not(submit)
        if why is None:
            self.timings.leaving(submit.order)
        return why

    def _events(self, dispatch: Dispatch, outcome: Outcome) -> list[Event]:
        at, order = self.venue.clock.now(), dispatch.effect.order
        delivered = Delivered(at=at, effect=dispatch.id)
        if outcome.kind is Kind.ACK:
            return [Accepted(at=at, order=order, venue_id=outcome.venue_id), delivered]
        if outcome.kind is Kind.REJECTED:
            return [
                Rejected(at=at, order=order, code=outcome.code, reason=outcome.reason),
                delivered,
            ]
        if outcome.kind is Kind.NOT_SENT:
            return self._not_sent(dispatch, outcome.reason)
        reason = f"{outcome.kind.name}: {outcome.reason}"
        return [Doubted(at=at, order=order, reason=reason), delivered]

    def _not_sent(self, dispatch: Dispatch, why: str) -> list[Event]:
        at = self.venue.clock.now()
        return [
            NotSent(at=at, order=dispatch.effect.order, reason=why),
            Undelivered(at=at, effect=dispatch.id, reason=why, final=True),
        ]
