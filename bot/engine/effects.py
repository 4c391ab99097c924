"""Carries effects out after COMMIT, one task each; every outcome comes back as events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress

from msgspec.structs import replace

from bot.core import effects
from bot.core.alerts import SCREEN
from bot.core.events import (
    Absent,
    Backfilled,
    Delivered,
    Doubted,
    Event,
    OrderReported,
    PositionReported,
    Undelivered,
)
from bot.core.text import safe_text
from bot.core.turn import Dispatch
from bot.core.values import VenueOrder
from bot.core.world import Order
from bot.edge.notify import Notifier
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.reading import read_account
from bot.edge.venues.rest import Declined
from bot.engine.gate import Gate
from bot.engine.reactor import Point, Probe
from bot.errors import BotError

CONCURRENT_MAX = 32
PROOF_MARGIN_SECONDS = 1.5
URGENT = (effects.Cancel, effects.Protect)
"""They have slots of their own, as exits do: nothing that is slow keeps them waiting."""
Carrier = Callable[[Dispatch], Awaitable[list[Event]]]


class Runner:
    """Runs dispatches against the world outside. ``post`` takes the resulting events.

    ``carriers`` carry out the kinds of effects that others know of.
    """

    def __init__(
        self,
        venue: Bybit,
        gate: Gate,
        notifier: Notifier,
        *,
        post: Callable[[Event], None],
        reference: Callable[[], str],
        say: Callable[[str], None],
        leave: Callable[[str], None],
        broken: Callable[[BaseException], None],
        probe: Probe,
        carriers: Mapping[type[effects.Effect], Carrier] | None = None,
    ) -> None:
        self.venue, self.gate, self.notifier = venue, gate, notifier
        self.post, self.reference, self.probe = post, reference, probe
        self.say = say
        self.leave, self.broken = leave, broken
        self._references: dict[str, str] = {}
        self._closed = False
        self.in_flight: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(CONCURRENT_MAX)
        self._urgent_slots = asyncio.Semaphore(CONCURRENT_MAX)
        self._kinds: dict[type, Carrier] = {
            effects.Submit: self.gate.send,
            effects.Amend: self._amend,
            effects.Cancel: self._cancel,
            effects.Protect: self._protect,
            effects.Inquire: self._inquire,
            effects.Reconcile: self._reconcile,
            effects.Backfill: self._backfill,
            effects.Leverage: self._leverage,
            effects.Notify: self._notify,
            effects.ClearHalt: self._clear_halt,
            effects.Exit: self._exit,
            **(carriers or {}),
        }

    def start(self, dispatches: Sequence[Dispatch]) -> None:
        """Begin to carry effects out, the urgent first. Called on the event loop."""
        if self._closed:
            return  # stored and pending: the next start carries them out
        for dispatch in sorted(dispatches, key=_urgency):
            task = asyncio.get_running_loop().create_task(self._run(dispatch))
            self.in_flight.add(task)
            task.add_done_callback(self._ended)

    def close(self) -> None:
        """Begin nothing more and leave what is under way to the next start, which asks first."""
        self._closed = True
        for task in self.in_flight:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """An effect that fails for no reason the tree of errors knows is a fault of the program."""
        self.in_flight.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.broken(error)

    async def _run(self, dispatch: Dispatch) -> None:
        async with self._slot(dispatch.effect):
            self.probe(Point.SENDING)
            try:
                outcome = await self._kinds[type(dispatch.effect)](dispatch)
            except BotError as error:
                reason = f"{type(error).__name__}: {error}"[:300]
                outcome = [Undelivered(at=self._now(), effect=dispatch.id, reason=reason)]
            self.probe(Point.SENT)
            for event in outcome:
                self.post(event)
            self.probe(Point.OUTCOME)

    def _slot(self, effect: effects.Effect) -> AbstractAsyncContextManager[None]:
        """Return what an effect waits for; a message to people only for its own channel."""
        if isinstance(effect, effects.Notify):
            return nullcontext()
        return self._urgent_slots if _is_urgent(effect) else self._slots

    def _now(self) -> int:
        return self.venue.clock.now()

    def _delivered(self, dispatch: Dispatch, *events: Event) -> list[Event]:
        return [*events, Delivered(at=self._now(), effect=dispatch.id)]

    # -- one method an effect ----------------------------------------------------------------------

    async def _cancel(self, dispatch: Dispatch) -> list[Event]:
        effect: effects.Cancel = dispatch.effect
        await self.venue.cancel(effect.order, effect.symbol)
        return self._delivered(dispatch, await self._seen(effect.order, effect.symbol))

    async def _amend(self, dispatch: Dispatch) -> list[Event]:
        """Move an order; what the venue then says of it counts, moved or not."""
        effect: effects.Amend = dispatch.effect
        why = self.gate.why_not_move(effect)
        if why:
            return [Undelivered(at=self._now(), effect=dispatch.id, reason=why, final=True)]
        with suppress(Declined):  # gone, or the price is not allowed: its row tells
            await self.venue.amend(effect.order, effect.symbol, effect.price)
        return self._delivered(dispatch, await self._seen(effect.order, effect.symbol))

    async def _seen(self, order: str, symbol: str) -> Event:
        """Return the order as the venue has it now, or that it is in doubt."""
        row = await self.venue.find(order, symbol)
        if row is not None:
            return OrderReported(at=self._now(), row=row)
        return Doubted(at=self._now(), order=order, reason="the venue does not list it")

    async def _protect(self, dispatch: Dispatch) -> list[Event]:
        effect: effects.Protect = dispatch.effect
        position = self.gate.world().positions.get(effect.symbol)
        if position is None or not position.qty or position.stop != effect.stop:
            return self._delivered(dispatch)  # closed, or under another stop, since it was decided
        await self.venue.protect(effect.symbol, effect.stop, effect.take)
        seen = [p for p in await self.venue.positions() if p.symbol == effect.symbol]
        return self._delivered(
            dispatch, *(PositionReported(at=self._now(), position=p) for p in seen)
        )

    async def _inquire(self, dispatch: Dispatch) -> list[Event]:
        """Only the venue's word ends a doubt: the order's row, or absence once it is too late."""
        effect: effects.Inquire = dispatch.effect
        asked_at = self._now()
        row = await self.venue.find(effect.order, effect.symbol)
        if row is not None:
            why = self._why_foreign(effect.order, row)
            if why:
                return [Undelivered(at=self._now(), effect=dispatch.id, reason=why)]
            return self._delivered(dispatch, OrderReported(at=self._now(), row=row))
        margin = self.venue.clock.real_ms(PROOF_MARGIN_SECONDS)
        too_late_at = effect.sent_at + self.venue.rest.recv_window_ms + margin
        if asked_at < too_late_at:
            left = (too_late_at - asked_at) / 1000
            reason = f"not there yet; it could be accepted for {left:.1f} s more"
            return [Undelivered(at=self._now(), effect=dispatch.id, reason=reason)]
        if await self.venue.is_executed(effect.order, effect.symbol):
            reason = "it was executed: its row lags behind"
            return [Undelivered(at=self._now(), effect=dispatch.id, reason=reason)]
        reason = "the venue does not have it, and its request can no longer be accepted"
        return self._delivered(dispatch, Absent(at=self._now(), order=effect.order, reason=reason))

    def _why_foreign(self, key: str, row: VenueOrder) -> str | None:
        """Tell why the venue's row under our id is not our order, or None."""
        order = self.gate.world().orders.get(key)
        if order is None:
            return None
        mine, there = _words(order), _words(row)
        if order.moves or row.price is None or order.price is None:  # moved, or at market
            mine, there = mine[:3], there[:3]
        if mine == there:
            return None
        return f"expected {' '.join(mine)} under this id, found {' '.join(there)}"

    async def _reconcile(self, dispatch: Dispatch) -> list[Event]:
        effect: effects.Reconcile = dispatch.effect
        margin = self.venue.clock.real_ms(
            10
        )  # executions may become readable late; each is booked once
        since = max(0, effect.since - margin)
        found = await read_account(self.venue, effect.orders, since, effect.depth)
        slack = self.venue.clock.real_ms(0.1)
        question = int(dispatch.id.partition("-")[0])
        found = replace(found, as_of=found.as_of - slack, question=question)
        return self._delivered(dispatch, found)

    async def _backfill(self, dispatch: Dispatch) -> list[Event]:
        effect: effects.Backfill = dispatch.effect
        candles = await self.venue.candles(effect.symbol, effect.after, effect.limit)
        filled = Backfilled(at=self._now(), symbol=effect.symbol, candles=candles, source="bybit")
        return self._delivered(dispatch, filled)

    async def _leverage(self, dispatch: Dispatch) -> list[Event]:
        await self.venue.leverage(self.gate.world().positions, dispatch.effect.leverage)
        return self._delivered(dispatch)

    async def _notify(self, dispatch: Dispatch) -> list[Event]:
        effect: effects.Notify = dispatch.effect
        if effect.channel in ("", SCREEN):  # "": of a release before the channels had names
            if effect.severity != "info" and not dispatch.again:
                self.say(f"{effect.severity}: {safe_text(effect.text.partition(chr(10))[0], 500)}")
            return self._delivered(dispatch)
        # the same reference at every attempt: one that arrived late is not sent twice
        reference = self._references.setdefault(dispatch.id, f"{dispatch.id} {self.reference()}")
        await self.notifier.send(effect.channel, effect, reference, dispatch.again)
        self._references.pop(dispatch.id, None)
        return self._delivered(dispatch)

    async def _clear_halt(self, dispatch: Dispatch) -> list[Event]:
        mark = self.gate.halt.is_set()
        if mark and f"{mark[0]}: {mark[1]}" == dispatch.effect.mark:
            self.gate.halt.clear()
        return self._delivered(dispatch)

    async def _exit(self, dispatch: Dispatch) -> list[Event]:
        self.leave(dispatch.effect.reason)
        return self._delivered(dispatch)


def _is_urgent(effect: effects.Effect) -> bool:
    return isinstance(effect, URGENT) or (isinstance(effect, effects.Submit) and effect.reduce_only)


def _words(order: Order | VenueOrder) -> list[str]:
    """Return what must be equal of the order that was sent and the one that the venue has."""
    price = "at market" if order.price is None else f"{order.price.normalize():f}"
    return [str(order.side), f"{order.qty.normalize():f}", order.symbol, price]  # 20 is 20.000


def _urgency(dispatch: Dispatch) -> int:
    """Rank orders before protection, and that before everything else."""
    if isinstance(dispatch.effect, effects.Submit):
        return 0
    urgent = (effects.Protect, effects.Cancel, effects.Amend, effects.Inquire, effects.Reconcile)
    return 1 if isinstance(dispatch.effect, urgent) else 2
