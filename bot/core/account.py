"""The account: equity with unrealised profit, its baselines, and the review that guard and kill read."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core import positions
from bot.core.events import Commanded, Reconciled, Reviewed, Ticked
from bot.core.facts import EquityMarked
from bot.core.guard import GUARD, PAUSED, REDUCED
from bot.core.killswitch import KILL
from bot.core.shadow import shadow_profit
from bot.core.values import ZERO
from bot.core.world import DAY_MS

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import Closed, World

MARK_EVERY_MS = 60_000
DUST = Decimal("0.000001")
"""What the venue's own rounding may leave between two readings, quote units."""


def fraction(part: Decimal, whole: Decimal) -> float:
    """Return ``part / whole`` as a float, 0 where there is no whole."""
    return float(part / whole) if whole > 0 else 0.0


def review(turn: Turn, event: Ticked) -> None:
    """When it is time, value the account and let guard and kill switch judge it."""
    world = turn.world
    account = world.account
    due = account.reviewed_at + world.settings.guard.review_seconds * 1000
    if world.state("process") not in ("RUNNING", "DRAINING") or world.at < due:
        return
    equity = present_equity(world)
    peak = max(account.peak, equity)
    day = world.at // DAY_MS
    account = replace(
        account,
        equity=equity,
        peak=peak,
        guard_peak=max(account.guard_peak, equity + shadow_profit(world)),
        day=max(day, account.day),
        day_start=equity if day > account.day else account.day_start,
        reviewed_at=world.at,
    )
    turn.set(account=account)
    judge(turn)
    if world.at >= account.marked_at + MARK_EVERY_MS:
        mark(turn, "review")


def reviewed(world: World) -> Reviewed:
    """Return the facts that guard and kill switch judge, from the account as it stands."""
    account = world.account
    counted = counted_trades(world)
    wins = sum(1 for closed in counted if closed.pnl > 0)
    guard_equity = account.equity + shadow_profit(world)
    return Reviewed(
        at=world.at,
        equity=account.equity,
        drawdown=fraction(account.peak - account.equity, account.peak),
        guard_drawdown=max(0.0, fraction(account.guard_peak - guard_equity, account.guard_peak)),
        day_loss=fraction(account.day_start - account.equity, account.day_start),
        win_rate=wins / len(counted) if counted else None,
        trades=len(counted),
    )


def counted_trades(world: World) -> list[Closed]:
    """Return the closed trades of the guard's window.

    Shadow trades count only while PAUSED; when it ends, the count of real ones begins anew, or the
    trades that led to the pause would bring it back at once.
    """
    paused = world.state("guard") == PAUSED
    since = world.account.guard_since
    counted = [c for c in world.closed if (paused or not c.shadow) and c.at > since]
    return counted[-world.settings.guard.window :]


def judge(turn: Turn) -> None:
    """Let the kill switch, then the guard, answer the review: at equal limits kill wins."""
    facts = reviewed(turn.world)
    turn.fire(KILL, facts)
    before = turn.world.state("guard")
    step = turn.fire(GUARD, facts)
    if step is not None:
        turn.set(guard_before="")  # its own performance lowered it now, and nothing else lifts it
    if step is not None and before == PAUSED and step.dest == REDUCED:
        # shadow profit is not money: the guard judges real equity anew from here
        account = turn.world.account
        anew = replace(account, guard_peak=account.equity, guard_since=turn.world.at)
        turn.set(account=anew, shadows={})
        mark(turn, f"guard baseline set anew: {step.reason}")


def mark(turn: Turn, why: str) -> None:
    """Write a row of the equity curve."""
    account = turn.world.account
    facts = reviewed(turn.world)
    turn.set(account=replace(account, marked_at=turn.world.at))
    turn.note(
        EquityMarked(
            account.equity,
            account.cash,
            account.peak,
            account.day_start,
            facts.drawdown,
            facts.day_loss,
            why,
        )
    )


def present_equity(world: World) -> Decimal:
    """Return cash and unrealised profit at the last marks, quote units."""
    return world.account.cash + positions.unrealised(world)


def rebase(turn: Turn, event: Commanded) -> None:
    """Set every baseline anew at the present equity, and record it: part of a re-arm."""
    equity = present_equity(turn.world)
    turn.set(
        account=replace(
            turn.world.account,
            equity=equity,
            peak=equity,
            guard_peak=equity,
            guard_since=turn.world.at,
            day_start=equity,
        )
    )
    mark(turn, f"baselines set anew by {event.operator}: {event.reason}")


def reconcile(turn: Turn, event: Reconciled) -> None:
    """Take the venue's wallet as cash where it may be believed; the first is every baseline."""
    known = turn.world.account
    # less than a cent is not taken over: a leak adds up until it shows
    believed = known.peak == ZERO or turn.world.state("reconciliation") == "MISMATCH"
    dust = abs(event.wallet - known.cash) < DUST
    account = replace(
        known,
        cash=event.wallet if believed or dust else known.cash,
        reconciled_at=turn.world.at,
        # every execution before it was read and booked
        fills_since=min(event.as_of, turn.world.at),
        full_at=known.full_at or turn.world.at,
        compared_day=known.compared_day or turn.world.at // DAY_MS,
    )
    if account.peak == ZERO:
        equity = event.wallet + positions.unrealised(turn.world)
        account = replace(
            account,
            equity=equity,
            peak=equity,
            guard_peak=equity,
            day_start=equity,
            day=turn.world.at // DAY_MS,
        )
    turn.set(account=account)
