"""Reconciliation: whether the bot's ledger is the venue's. CLEAN DRIFT RESOLVING MISMATCH.

A light reading every minute, a full one every quarter of an hour, one of the whole day at its end.
Invariants: a difference is read anew, later and deeper, before the venue's numbers are taken over;
every comparison is a row; no entry while a difference stands; one that stays holds the account.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core.asking import LOOK_BACK_MS, account_question, ask_account, pending
from bot.core.effects import Notify, Reconcile
from bot.core.events import Compared, Limited, Reconciled, Started, Ticked
from bot.core.facts import AccountCompared, CashMoved
from bot.core.health_events import ResyncAsked
from bot.core.holds import HOLD
from bot.core.machine import BORN, Level, Row, Table, always
from bot.core.values import ZERO, CashMove
from bot.core.world import ACCOUNT, DAY_MS

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import Account, World

CENT = Decimal("0.01")
TRANSFER = "TRANSFER"  # the venue's words TRANSFER_IN and TRANSFER_OUT
MOVES_KEPT_MS = 2 * LOOK_BACK_MS["day"]
"""Longer than any reading looks back; what is older is never booked again."""


class ReconciliationState(StrEnum):
    """Whether the two ledgers agree."""

    CLEAN = "CLEAN"
    DRIFT = "DRIFT"
    RESOLVING = "RESOLVING"
    MISMATCH = "MISMATCH"


CLEAN, DRIFT, RESOLVING, MISMATCH = ReconciliationState


def equal(world: World, event: Compared, key: str) -> str | None:
    """Wallet and positions agree."""
    return None if event.differs else f"{event.depth} reading agrees"


def differs(world: World, event: Compared, key: str) -> str | None:
    """Wallet or positions differ."""
    return event.differs or None


def still(world: World, event: Compared, key: str) -> str | None:
    """They differ after a deeper reading as well."""
    return event.differs if event.differs and event.depth != "light" else None


def whole_day(world: World, event: Compared, key: str) -> str | None:
    """They differ after everything of the day was read: the venue's numbers are taken over."""
    return event.differs if event.differs and event.depth == "day" else None


def otherwise(world: World, event: Compared, key: str) -> str | None:
    """They differ in another way than the one that was taken over."""
    instance = world.instance_of("reconciliation")
    known = instance is not None and instance.reason == event.differs
    return None if known else event.differs or None


DEEPER: dict[str, tuple[str, float]] = {DRIFT: ("full", 2.0), RESOLVING: ("day", 20.0)}
"""How deep the account is read again, after how many real seconds: the venue's lists lag."""
DAY_LATE_MS = 300_000
"""The day is read this long after its end: funding and its rows need a moment."""


# fmt: off
RECONCILIATION = Table("reconciliation", ReconciliationState, (
    #   from                         on        when                   to         then
    Row(BORN,                        Started,  always("first start"), CLEAN),
    Row((DRIFT, RESOLVING, MISMATCH), Compared, equal,                CLEAN),
    Row(CLEAN,                       Compared, differs,               DRIFT),
    Row(MISMATCH,                    Compared, otherwise,             DRIFT),
    Row(DRIFT,                       Compared, still,                 RESOLVING),
    Row(RESOLVING,                   Compared, whole_day,             MISMATCH),
), key=ACCOUNT, lowers={s: Level.REDUCE_ONLY for s in ReconciliationState if s is not CLEAN})
# fmt: on


def book(turn: Turn, move: CashMove) -> None:
    """Book cash that came or went without an execution, once."""
    world = turn.world
    oldest = max(world.account.began_at, world.account.fills_since - MOVES_KEPT_MS)
    if move.move in world.moves or move.at < oldest:
        return
    account = replace(world.account, cash=world.account.cash + move.change)
    if move.kind.startswith(TRANSFER) and account.peak:
        account = shifted(account, move.change)
        word = "came to" if move.change > 0 else "left"
        text = f"{abs(move.change):f} USDT {word} the account ({move.kind}): the baselines move with it"
        about = f"transfer {move.move}"
        turn.emit(Notify(severity="warning", text=text, key=about, runbook="transfer"))
    kept = {key: at for key, at in world.moves.items() if at >= oldest}
    turn.set(account=account, moves={**kept, move.move: move.at})
    turn.note(CashMoved(move))


def shifted(account: Account, change: Decimal) -> Account:
    """Return the account with every baseline moved: what people bring or take is no profit."""
    names = ("equity", "peak", "guard_peak", "day_start")
    return replace(account, **{name: getattr(account, name) + change for name in names})


def compare(turn: Turn, event: Reconciled) -> bool:
    """Compare wallet and positions; return whether the venue's numbers are to be taken over now."""
    world = turn.world
    known = world.account.peak != ZERO
    why = "; ".join(difference(world, event)) if known else ""
    turn.note(
        AccountCompared(
            event.depth,
            event.wallet,
            world.account.cash if known else event.wallet,
            len(event.positions),
            len(event.fills),
            len(event.moves),
            why,
        )
    )
    compared = Compared(at=world.at, depth=event.depth, differs=why)
    step = turn.fire(RECONCILIATION, compared)
    if step is not None and step.dest == MISMATCH:
        turn.fire(HOLD, Limited(at=world.at, control="reconciliation", reason=why))
    if step is not None and step.dest in DEEPER:
        depth, seconds = DEEPER[step.dest]
        later = world.at + world.real_ms(seconds)
        turn.set(account=replace(turn.world.account, reread=depth, reread_at=later))
    return turn.world.state("reconciliation") in (CLEAN, MISMATCH)


def difference(world: World, event: Reconciled) -> Iterator[str]:
    """Yield what differs: the wallet by a cent or more, a position by anything."""
    off = event.wallet - world.account.cash
    if not abs(off) < CENT:
        yield f"wallet {event.wallet:f}, ledger {world.account.cash:f} ({off:+f})"
    there = {p.symbol: p.qty for p in event.positions}
    for symbol, position in world.positions.items():
        if there.get(symbol, ZERO) != position.qty:
            yield f"{symbol} {there.get(symbol, ZERO):f}, ledger {position.qty:f}"
    for symbol in sorted(set(there) - set(world.positions)):
        yield (
            f"{symbol} {there[symbol]:f} is open at the venue and not traded here: close it there,"
            " add it to market.symbols, or give the bot an account of its own"
        )


def resync(turn: Turn, event: ResyncAsked) -> None:
    """Read the account in full now, even beside a question whose answer does not come."""
    turn.emit(account_question(turn.world, "full"))


def due(turn: Turn, event: Ticked) -> None:
    """Compare the account with the venue from time to time; at the day's end, all of the day."""
    world, account = turn.world, turn.world.account
    if pending(world, Reconcile):
        return
    if account.reread:
        if world.at >= account.reread_at:
            ask_account(turn)
        return
    if world.state("process") != "RUNNING":
        return
    limits = world.settings.orders
    day = (world.at - DAY_LATE_MS) // DAY_MS
    if account.compared_day and day > account.compared_day:
        turn.set(account=replace(account, compared_day=day))
        turn.emit(account_question(world, "day"))
    elif world.at >= account.full_at + world.real_ms(limits.reconcile_full_real_seconds):
        turn.set(account=replace(account, full_at=world.at, reconciled_at=world.at))
        turn.emit(account_question(world, "full"))
    elif world.at >= account.reconciled_at + world.real_ms(limits.reconcile_real_seconds):
        turn.set(account=replace(account, reconciled_at=world.at))
        turn.emit(account_question(world))
