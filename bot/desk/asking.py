"""Tells what may be asked of the bot now, why not, and what it would do: the bot's own questions.

The same functions answer here and in the bot, which decides anew when it is asked: so a greyed key
has the sentence that the bot would refuse with.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from bot.core.arguments import waits_for_budget
from bot.core.events import Commanded
from bot.core.runs import VERBS
from bot.core.settings import Settings
from bot.core.values import ZERO
from bot.core.world import ACCOUNT, Position, World
from bot.desk.status import Status, remembered
from bot.desk.text import number
from bot.store.database import Connection

ASKED = (
    "hold",
    "release",
    "reduce",
    "kill",
    "rearm",
    "flatten",
    "stop",
    "ack",
    "approve",
    "decline",
)
"""The commands that a console offers."""

OF_A_SYMBOL = ("hold", "release", "kill", "rearm", "flatten")
"""Those that may be for one symbol."""

OF_A_LINE = ("ack", "approve", "decline")
"""Those that are about one alert or one run: the bot alone tells why not."""

WITHOUT_A_BOT = ("hold", "reduce", "kill")
"""Those that the command line carries out on a stopped bot's database."""


class Possible(Struct, frozen=True):
    """A command: why it cannot be given now (None: it can), and what it would do, as sentences."""

    verb: str
    meaning: str
    tightens: bool
    why_not: str | None
    effects: tuple[str, ...]
    patience_seconds: float


Asking = tuple[str, str]
"""A verb, and the symbol that it is for; empty for the account."""


def possible(
    connection: Connection, found: Status, settings: Settings | None
) -> dict[Asking, Possible]:
    """Return every command of a console, for the account and for each symbol."""
    world = _world(connection)
    flattens = settings.kill.flatten if settings else None
    asked = [(verb, "") for verb in ASKED]
    asked += [(verb, symbol) for symbol in world.positions for verb in OF_A_SYMBOL]
    return {one: _possible(world, found, one, flattens) for one in asked}


def _possible(world: World, found: Status, asked: Asking, flattens: bool | None) -> Possible:
    verb, symbol = asked
    known = VERBS[verb]
    event = Commanded(
        at=world.at,
        id="",
        verb=verb,
        args={"symbol": symbol} if symbol else {},
        operator="",
        identity="kernel",
        reason="",
        expires_at=0,
    )
    asked_now = None if verb in OF_A_LINE else known.why_not(world, event)
    why = _why_no_bot(found, verb) or asked_now
    return Possible(
        verb,
        known.meaning,
        known.tightens,
        why or _why_spent(found, verb),
        tuple(_effects(world, found, asked, flattens)),
        known.within_seconds,
    )


def _why_no_bot(found: Status, verb: str) -> str | None:
    if found.bot.state == "running":
        return None
    way = f"`python -m bot do {verb}`" if verb in WITHOUT_A_BOT else "`python -m bot panic`"
    return f"the bot is {found.bot.state}; what works without it: {way} --reason …"


def _why_spent(found: Status, verb: str) -> str | None:
    """Tell that an error budget is spent, for which the bot would not loosen."""
    spent = [one.name for one in found.health.objectives if one.spent > 1]
    if not spent or not waits_for_budget(verb):
        return None
    return f"the error budget of {', '.join(spent)} is spent; `bot do … despite=budget` knows it"


def _world(connection: Connection) -> World:
    """Return as much of the world as the questions ask for."""
    rows = connection.execute("SELECT symbol, qty, entry, stop_held FROM position").fetchall()
    return replace(
        remembered(connection),
        positions={
            symbol: Position(symbol, Decimal(qty), Decimal(entry), stop_held=bool(held))
            for symbol, qty, entry, held in rows
        },
        guard_before=_before_doubt(connection),
    )


def _before_doubt(connection: Connection) -> str:
    """Return where the guard stood before doubt about an order lowered it, empty if none did."""
    before = ""
    rows = connection.execute(
        "SELECT source, trigger, dest FROM transition WHERE machine = 'guard'"
        " ORDER BY version DESC LIMIT 3"
    )
    for source, trigger, dest in rows:
        if trigger != "DoubtAged" or dest == "NORMAL":
            break
        before = source
    return before


def _effects(world: World, found: Status, asked: Asking, flattens: bool | None) -> list[str]:
    """Return what a command would do to orders and money, as far as it is known now."""
    verb, symbol = asked
    held = [one for one in world.positions.values() if one.qty and symbol in ("", one.symbol)]
    worth = sum((abs(one.qty) * one.avg for one in held), ZERO)
    positions = f"positions {len(held)}, worth {number(str(round(worth, 2)))} at entry prices"
    bare = sum(1 for one in held if not one.stop_held)
    kept = f"{positions}, kept under their stops" + (f"; {bare} WITHOUT a stop" if bare else "")
    about = f"{_LIFTS.get(verb, '–')} {symbol or ACCOUNT} "
    others = [why for why in found.why if not why.startswith(about)]
    still = f"entries still wait: {others[0]}" if others else "entries may be opened again"
    return {
        "hold": ["nothing new is opened, entries on their way are cancelled", kept],
        "release": [still, f"guard {world.state('guard')}", kept],
        "reduce": ["new positions have reduced size until the guard recovers", kept],
        "kill": [
            "entries on their way are cancelled; nothing new until a person re-arms",
            f"{positions}, CLOSED at market (kill.flatten)" if flattens else kept,
        ],
        "rearm": [still, "the baselines of loss and drawdown begin anew", kept],
        "flatten": [f"{positions}, CLOSED at market", "spread and taker fees are paid"],
        "stop": ["entries on their way are cancelled, then the process ends", kept, _UNWATCHED],
        "ack": ["it is not sent again"],
        "approve": ["what was asked for is begun at once, as if you had asked, too"],
        "decline": ["what was asked for is not done"],
    }[verb]


_LIFTS = {"release": "hold", "rearm": "kill"}
_UNWATCHED = "a stopped bot manages nothing: only the stops at the venue protect"
