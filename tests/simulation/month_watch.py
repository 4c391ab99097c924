"""What must hold in the month, looked at after every commit, at every tick, and after every fault.

The bot's own opinion counts for little: latches are followed by the transitions that were committed,
stops and exposure by the venue's books, messages by the outbox and by what became of each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.core.effects import Notify
from bot.core.values import ZERO
from bot.core.world import World
from bot.edge.clock import clock_text
from bot.engine import replay
from bot.engine.reactor import Committed
from bot.store import chain
from bot.store.database import Connection
from tests.simulation.month_attempts import Attempts, unreported
from tests.simulation.month_books import Books
from tests.simulation.month_standing import NEEDED, live, unknown

if TYPE_CHECKING:
    from tests.simulation.month_life import Life, Outside

NAKED_SECONDS_MAX = 3.0
STEP_SECONDS = 1.0
"""The clock goes by such steps while anything is under way, so nothing is seen more finely."""
UNSEEN_SECONDS_MAX = 66.0
"""A stop that the venue lost without a word is missed at the next reading, a minute later at most."""
UNBOOKED_SECONDS_MAX = 95.0
"""What the ledger does not know is read twice more, deeper, before it is taken over and protected."""
LIMITS = {
    "known": NAKED_SECONDS_MAX,
    "unseen": UNSEEN_SECONDS_MAX,
    "unbooked": UNBOOKED_SECONDS_MAX,
}
"""How long a position may have no stop at a venue that can be reached, by what the bot can know."""
LETTER_SECONDS_MAX = 600.0
"""Eight attempts of ten seconds each with the pauses between them, and a restart."""
CENT = Decimal("0.01")
LATE_SECONDS_MAX = 120.0
LATCHED = ("hold", "kill", "guard")
LOOSENED_BY = {
    ("hold", "HELD"): {"Commanded"},
    ("kill", "TRIPPED"): {"Ticked"},
    ("kill", "FLATTENING"): {"Ticked"},
    ("kill", "LATCHED"): {"Commanded"},
    ("guard", "PAUSED"): {"Reviewed", "DoubtAged"},
}
"""What may move a latch out of a state, by the names of events."""
CALLS = {
    ("kill", "TRIPPED"): "kill {key} TRIPPED",
    ("hold", "HELD"): "hold {key} HELD",
    ("check", "ESCALATED"): "check {key}",
    ("breaker", "OPEN"): "breaker {key} OPEN",
}
"""The moves that people must be told of, and the key of the alert."""
QUIET = {("hold", "Commanded"), ("breaker", "HALF_OPEN")}
"""… but not of what a person did, or of what they were told a moment ago."""


class Watcher:
    """Follows one month. What is wrong is kept in ``wrong``; ``log`` says what happened when."""

    def __init__(self, books: Books, outside: Outside) -> None:
        self.books, self.outside = books, outside
        self.wall_offset_ms = 0
        self.log: list[str] = []
        self.wrong: list[str] = []
        self.moves: Counter[str] = Counter()
        self.attempts = Attempts(outside.remedies)
        self.head = ""
        self.heads: list[str] = []
        self.starts = self.dead_letters = self.commits = 0
        self._states: dict[tuple[str, str], str] = {}
        self._letters: dict[str, float] = {}
        self._ended: set[str] = set()
        self._naked: dict[tuple[str, str], tuple[int, float]] = {}
        self._verified = self._last_id = self._last_seq = 0
        self._connection: Connection | None = None
        self._loop = asyncio.get_running_loop()
        outside.weather.leaving = self.leaving
        self._life: Life

    def note(self, text: str) -> None:
        """Keep a line of what happened."""
        self.log.append(text)

    def raise_wrong(self) -> None:
        """Raise AssertionError if anything was wrong."""
        found = [*self.wrong, *self.books.wrong]
        assert not found, "; ".join(found[:5])

    def totals(self) -> dict[str, int]:
        """Return what the month contained."""
        found = {
            "starts": self.starts,
            "commits": self.commits,
            "transitions": self._last_id,
            "orders": self.moves["order INTENDED"],
            "fills": self.books.executed,
            "unknown": self.moves["order UNKNOWN"],
            "attempts": self.attempts.count,
            "letters": self.moves["letter"],
            "dead letters": self.dead_letters,
        }
        names = ("guard PAUSED", "guard REDUCED", "hold HELD", "kill LATCHED", "check ESCALATED")
        return found | {name: self.moves[name] for name in (*names, "alert ESCALATED")}

    def last(self, count: int) -> list[str]:
        """Return the newest transitions, the oldest first."""
        assert self._connection is not None
        rows = self._connection.execute(
            "SELECT at, machine, key, source, dest, trigger, reason FROM transition"
            " WHERE machine <> 'delivery' ORDER BY id DESC LIMIT ?",
            (count,),
        ).fetchall()
        shown = "{} {} {} {} → {} on {}: {}"
        return [shown.format(clock_text(row[0]), *row[1:]) for row in rows[::-1]]

    # -- lives -------------------------------------------------------------------------------------

    def before_boot(self) -> None:
        """Read what the dead process committed and nobody saw."""
        if self._connection is None:
            return
        rows = self._connection.execute(
            "SELECT id, seq, machine, key, source, trigger, dest, reason FROM transition"
            " WHERE id > ? ORDER BY id",
            (self._last_id,),
        ).fetchall()
        letters = self._connection.execute(
            "SELECT id FROM outbox WHERE seq > ? AND kind = 'Notify'", (self._last_seq,)
        ).fetchall()
        for (letter,) in letters:
            self._born(letter)
        for row in rows:
            self._moved(*row[2:])
            self._last_id, self._last_seq = row[0], max(row[1], self._last_seq)
        newest = self._connection.execute("SELECT max(seq) FROM journal").fetchone()[0]
        self._last_seq = max(self._last_seq, newest or 0)

    def booted(self, life: Life) -> None:
        """A process came up: what was latched is latched."""
        self.starts += 1
        self._life, self._connection = life, life.booted.writer.connection
        self._compare(life.booted.world, "after a start")

    def seen(self, life: Life, committed: Committed) -> None:
        """Look at a commit."""
        self.commits += 1
        for dispatch in committed.dispatches:
            if isinstance(dispatch.effect, Notify) and not dispatch.again:
                self._born(dispatch.id)
        for entry in committed.entries:
            step = entry.step
            self._moved(step.machine, step.key, step.source, step.trigger, step.dest, step.reason)
            self._called(committed.world, step)
            self._last_id = entry.id
        self._last_seq = committed.world.seq
        self.head = committed.head.hex()
        self._compare(committed.world, "after a commit")

    def _born(self, letter: str) -> None:
        if letter not in self._letters and letter not in self._ended:
            self.moves["letter"] += 1
            self._letters[letter] = self._loop.time()

    def _moved(
        self, machine: str, key: str, source: str, trigger: str, dest: str, reason: str
    ) -> None:
        self.moves[f"{machine} {dest}"] += 1
        if machine == "run":
            self.attempts.moved(key, dest, reason, self._loop.time())
        if machine in LATCHED:
            self._states[machine, key] = dest
            allowed = LOOSENED_BY.get((machine, source))
            if allowed is not None and trigger not in allowed:
                self.wrong.append(f"{machine} {key} left {source} by {trigger}: {reason}")
        if machine == "delivery" and dest in ("SENT", "DEAD", "EXPIRED") and key in self._letters:
            del self._letters[key]
            self._ended.add(key)
            self.dead_letters += dest == "DEAD"
            if dest != "SENT" and not reason:
                self.wrong.append(f"message {key} is {dest} without a reason")

    def _compare(self, world: World, when: str) -> None:
        for (machine, key), state in self._states.items():
            if world.state(machine, key) != state:
                now = world.state(machine, key) or "nothing"
                self.wrong.append(f"{when}: {machine} {key} is {now}, committed was {state}")

    def _called(self, world: World, step: Any) -> None:
        """People are told of what they must be told of."""
        about = CALLS.get((step.machine, step.dest))
        if about is None or {(step.machine, step.trigger), (step.machine, step.source)} & QUIET:
            return
        key = about.format(key=step.key)
        if not any(alert.notify.key == key for alert in world.alerts.values()):
            self.wrong.append(f"{step.machine} {step.key} is {step.dest} and nobody was told")

    # -- orders ------------------------------------------------------------------------------------

    def leaving(self, body: dict[str, Any]) -> None:
        """Look at an order whose first byte leaves now."""
        world, link = self._life.world, body["orderLinkId"]
        if body["reduceOnly"]:
            return
        self.wrong += [f"entry {link} left: {why}" for why in self._why_not(world, body["symbol"])]
        worst, equity = dict(self._worst(world, link)), self._equity()
        mine = Decimal(body["qty"]) * Decimal(body["price"])
        limits = world.settings.risk
        symbol = body["symbol"]
        if worst.get(symbol, ZERO) + mine > Decimal(str(limits.size_max)) * equity:
            self.wrong.append(f"entry {link} left over {worst.get(symbol)} in {symbol} already")
        if sum(worst.values(), mine) > Decimal(str(limits.leverage_max)) * equity:
            self.wrong.append(f"entry {link} left over {worst}, equity {equity}")

    def _why_not(self, world: World, symbol: str) -> Iterator[str]:
        for machine, states in NEEDED.items():
            if world.state(machine) not in states:
                yield f"{machine} is {world.state(machine)}"
        if not live(world, symbol):
            yield f"feed is {world.state('feed', symbol)}"
        if world.state("hold", symbol) == "HELD" or world.state("kill", symbol) not in (
            "",
            "ARMED",
        ):
            yield f"{symbol} is held or killed"
        if world.private_lost:
            yield "the private stream is down"
        if any(unknown(world, key) for key, o in world.orders.items() if o.symbol == symbol):
            yield "an outcome is unknown"

    def _worst(self, world: World, but: str) -> Iterator[tuple[str, Decimal]]:
        """Yield what each symbol comes to if all that is open or in doubt is filled."""
        for symbol in self.books.market.paths:
            held = self.books.positions.get(symbol)
            qty = abs(held.qty) if held else ZERO
            for row in self.books.open_orders():
                if row.symbol == symbol and row.order != but:
                    qty += row.qty - row.filled
            for order in world.orders.values():
                if order.symbol == symbol and order.entry and order.order != but:
                    unseen = order.order not in self.books.orders and not order.ended
                    qty += order.qty if unseen else ZERO
            yield symbol, qty * self.books.price(symbol)

    def _equity(self) -> Decimal:
        return self.books.wallet + sum(
            (self.books.price(p.symbol) - p.entry) * p.qty for p in self.books.positions.values()
        )

    # -- time --------------------------------------------------------------------------------------

    def looked(self, life: Life) -> None:
        """Look at the stops: by what the bot knows, and by what the venue has."""
        now, world = self._loop.time(), life.world
        reachable = (
            not life.dead
            and world.state("process") == "RUNNING"
            and not self.outside.weather.mode
            and self.outside.weather.seconds < STEP_SECONDS
            and not life.port.unanswered
            and not life.loop._failing_since
        )
        for symbol in self.books.market.paths:
            position, held = world.positions.get(symbol), self.books.positions.get(symbol)
            closing = world.state("position", symbol) == "CLOSING"
            booked = bool(position and held and position.qty == held.qty)
            bare = bool(held and held.stop is None) and reachable and not closing
            known = bool(bare and position and position.qty and not position.stop_held)
            standing = {"known": known, "unseen": bare and booked, "unbooked": bare}
            for name, is_so in standing.items():
                nth = self.books.protected[symbol]  # another stop is another wait
                since = self._naked.get((name, symbol), (nth, now))
                if not is_so or since[0] != nth:
                    self._naked.pop((name, symbol), None)
                    continue
                self._naked[name, symbol] = since
                bare_for = now - since[1]
                if bare_for > LIMITS[name]:
                    text = f"{symbol} has no stop at the venue for {bare_for:.1f} s"
                    self.wrong.append(f"{text} ({name}, limit {LIMITS[name]:g} s)")

    def clock_jumped(self) -> None:
        """A clock that is set has the wait for the next reading of the account begin anew."""
        self._naked = {key: since for key, since in self._naked.items() if key[0] == "known"}

    def differs(self, life: Life) -> str:
        """Return where the bot's ledger is not the venue's books, "" if it is nowhere."""
        world, found = life.world, []
        for symbol in self.books.market.paths:
            there, here = self.books.positions.get(symbol), world.positions[symbol].qty
            if here != (there.qty if there else ZERO):
                found.append(f"{symbol} {there.qty if there else 0}, ledger {here}")
        if abs(self.books.wallet - world.account.cash) >= CENT:
            found.append(f"wallet {self.books.wallet}, ledger {world.account.cash}")
        mine = [row.order for row in self.books.open_orders() if row.order.startswith("abcdef-")]
        found += [f"{order} is open at the venue" for order in mine if order not in world.orders]
        return "; ".join(found)

    def agree(self, life: Life) -> None:
        """Look whether memory, database, and chain are one, and whether a message was forgotten."""
        connection, world = life.booted.writer.connection, life.world
        found = replay.disagreement(connection, world)
        if found:
            self.wrong.append(found)
        checked, _ = chain.verify(connection, self._verified, instances=False)
        self._verified += checked
        self.wrong += [*self._forgotten(world), *self._overdue(world), *self.attempts.wrong(world)]
        if why := unreported(connection):
            self.wrong.append(why)
        self.heads.append(self.head)
        self.raise_wrong()

    def _forgotten(self, world: World) -> Iterator[str]:
        now = self._loop.time()
        for letter, since in self._letters.items():
            if letter not in world.deliveries:
                yield f"message {letter} was forgotten"
            elif now - since > LETTER_SECONDS_MAX:
                yield f"message {letter} is on its way for {now - since:.0f} s"

    def overdue(self, world: World) -> None:
        """Look whether what people were not told, or did not answer, is seen to in time."""
        self.wrong += self._overdue(world)

    def _overdue(self, world: World) -> Iterator[str]:
        late = world.at - LATE_SECONDS_MAX * 1000
        for key in world.machines.get("alert", {}):
            alert = world.alerts.get(key)
            if alert is None:
                yield f"alert {key} was forgotten"
            elif world.state("alert", key) == "QUEUED":
                if not world.digest_at or world.digest_at < late:
                    yield f"alert {key} waits for a digest that does not come"
            elif alert.due_at < late:
                yield f"alert {key} was due at {alert.due_at}, now is {world.at}"
            elif world.state("alert", key) == "RAISED" and alert.notify.severity == "critical":
                escalates = world.real_ms(world.settings.alerts.escalate_real_seconds)
                if alert.notify.since + escalates < late:
                    yield f"alert {key} was not escalated, nobody answered since {alert.notify.since}"

    def end(self, life: Life, *, replayed: bool) -> list[str]:
        """Look at the whole of it once more, and perhaps decide it again; return what was wrong."""
        connection = life.booted.writer.connection
        self.wrong += [*self._forgotten(life.world), *self._overdue(life.world)]
        chain.verify(connection)
        if replayed:
            replay.check(connection)
        twice = [link for link, count in self.books.received.items() if count > 1]
        self.wrong += [f"{link} was sent {self.books.received[link]} times" for link in twice]
        return [*self.wrong, *self.books.wrong]
