"""What happens in a run, drawn from its seed: operations, faults, deaths; then it is played, then quiet.

A story is data: the same one is played in virtual time and by real processes on sockets. Times are
real seconds of the stage, from the moment at which the bot trades.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from bot.engine.reactor import Point

LOTS = {"BTCUSDT": "0.01", "ETHUSDT": "0.2", "SOLUSDT": "5"}
SYMBOLS = tuple(LOTS)
QUIET_SECONDS_MAX, CALM_SECONDS = 60.0, 4.0

Json = dict[str, Any]


class Act(NamedTuple):
    """Something that is done to the stage: a method's name and its arguments."""

    at: float
    name: str
    args: Json


class Stage(Protocol):
    """Where a story is played."""

    async def control(self, what: str, **body: Any) -> Json:
        """Ask the exchange for a fault, a price, or its state."""

    async def order(self, **body: Any) -> None:
        """Trade on the same account, as an outsider."""

    async def ask(self, verb: str, **args: str) -> None:
        """Send an operator's command."""

    async def die(self, **how: Any) -> None:
        """Kill the bot now, or at a point that it will pass; it is started anew."""

    async def stop(self) -> None:
        """Ask the bot to stop; it is started anew."""

    async def outage(self, how: str, seconds: float) -> None:
        """Cut the network for a while."""

    async def settled(self, since: float) -> bool:
        """Tell whether nothing is under way, by the account as it was read after ``since``."""


def story(seed: int, seconds: float) -> list[Act]:
    """Return what happens, in order of time."""
    chance = random.Random(f"story {seed}")
    acts = [Act(0.0, "control", {"what": "fault", **latency(chance)})] if seed % 2 else []
    at = chance.uniform(0.2, 1.5)
    while at < seconds:
        make = chance.choices(list(KINDS), list(KINDS.values()))[0]
        act = Act(at, *make(chance))
        acts.append(act)
        if looser := LOOSENED.get(act.args.get("verb", "")):
            acts.append(Act(at + chance.uniform(0.5, 2.0), "ask", {"verb": looser}))
        at += chance.expovariate(1 / 0.7)
    return sorted(acts, key=lambda act: act.at)


def latency(chance: random.Random) -> Json:
    """An exchange that often answers late."""
    return {
        "kind": "delay",
        "match": "/v5/order/create",
        "probability": 0.5,
        "ms": chance.choice((30, 80, 200)),
        "when": chance.choice(("before", "after")),
        "seed": chance.randrange(10**6),
    }


# -- one function a kind of act --------------------------------------------------------------------

Made = tuple[str, Json]


def shock(chance: random.Random) -> Made:
    """The price jumps: stops and targets fire, the averages cross."""
    size = chance.choice((0.003, 0.003, 0.01, 0.01, 0.04))
    factor = 1 + size * chance.choice((-1, 1))
    return "control", {"what": "price", "symbol": chance.choice(SYMBOLS), "factor": factor}


def lost_answer(chance: random.Random) -> Made:
    """A request that changes something is processed or not, and its answer does not come."""
    path = chance.choice(("/v5/order/create", "/v5/order/create", "/v5/order", "/v5/position"))
    kinds: list[Json] = [
        {"kind": "drop", "when": "after"},
        {"kind": "drop", "when": "before"},
        {
            "kind": "delay",
            "ms": chance.choice((4_500, 6_000)),
            "when": chance.choice(("before", "after")),
        },
        {"kind": "http_status", "status": chance.choice((500, 502, 503)), "when": "after"},
        {"kind": "http_status", "status": chance.choice((502, 429, 403)), "when": "before"},
        {"kind": "ret_code", "code": chance.choice((10016, 10000, 10006, 10002))},
        {"kind": "garble", "how": chance.choice(("json", "truncate"))},
    ]
    fault = {"match": path, "count": chance.choice((1, 1, 2)), "seed": chance.randrange(10**6)}
    return "control", {"what": "fault", **chance.choice(kinds), **fault}


def lost_question(chance: random.Random) -> Made:
    """Questions fail, for a while or some of them."""
    kinds: list[Json] = [
        {"kind": "http_status", "status": chance.choice((502, 503))},
        {"kind": "ret_code", "code": chance.choice((10016, 10000, 10006))},
        {"kind": "exhaust", "ms": chance.choice((500, 2_000))},
        {"kind": "delay", "ms": chance.choice((300, 1_500))},
        {"kind": "drop", "when": "after"},
    ]
    path = chance.choice(("/v5/order/realtime", "/v5/order/history", "/v5/execution", "/v5/"))
    fault = {"match": path, "count": chance.choice((1, 2, 4)), "seed": chance.randrange(10**6)}
    return "control", {"what": "fault", **chance.choice(kinds), **fault}


def bad_stream(chance: random.Random) -> Made:
    """The private stream repeats, reorders, holds back, or loses what it should say."""
    kind = chance.choice(("duplicate", "reorder", "lose", "lose", "drop", "delay", "garble"))
    topic = chance.choice(("order", "execution", "execution", "position", "wallet"))
    fault: Json = {"kind": kind, "match": topic, "count": chance.choice((1, 2, 5))}
    if kind == "delay":
        fault["ms"] = chance.choice((50, 800))
    return "control", {"what": "fault", **fault, "seed": chance.randrange(10**6)}


def mishap(chance: random.Random) -> Made:
    """The exchange itself does something unkind: to an order, to the streams, to the account."""
    kinds: list[Json] = [
        {"kind": "race"},
        {"kind": "reject_rest", "share": chance.choice((0.2, 0.6))},
        {"kind": "cut", "match": chance.choice(("/v5/private", "/v5/public", "/v5/"))},
        {"kind": "hang_up", "count": 3},
        {"kind": "balance", "amount": chance.choice(("-250.5", "100.01"))},
        {"kind": "adl", "symbol": chance.choice(SYMBOLS), "share": chance.choice((0.3, 1.0))},
    ]
    return "control", {"what": "fault", **chance.choice(kinds), "seed": chance.randrange(10**6)}


def command(chance: random.Random) -> Made:
    """An operator does something; a hold and a kill are ended again a little later."""
    verb = chance.choice(("hold", "flatten", "reduce", "kill"))
    args = {"symbol": chance.choice(SYMBOLS)} if verb == "flatten" and chance.random() < 0.5 else {}
    return "ask", {"verb": verb, **args}


def outsider(chance: random.Random) -> Made:
    """Somebody else trades on the account: at market, to close, or far from the market."""
    symbol = chance.choice(SYMBOLS)
    side = chance.choice(("Buy", "Sell"))
    order: Json = {"symbol": symbol, "side": side, "qty": LOTS[symbol], "orderType": "Market"}
    how = chance.random()
    if how < 0.3:
        order |= {"reduceOnly": True}
    elif how < 0.7:
        order |= {"orderType": "Limit", "price": "far"}
    return "order", order


def death(chance: random.Random) -> Made:
    """The bot dies: now, at a point of the reactor, or at one of an effect."""
    how = chance.random()
    down = chance.choice((0.0, 0.0, 0.3, 1.0, 3.0))
    if how < 0.35:
        return "die", {"down": down}
    points = (Point.SENDING, Point.SENT, Point.OUTCOME) if how < 0.7 else tuple(Point)
    return "die", {
        "point": chance.choice(points),
        "hits": chance.choice((1, 1, 2, 5, 20)),
        "down": down,
    }


def end(chance: random.Random) -> Made:
    """Somebody stops the bot the proper way."""
    return "stop", {}


def outage(chance: random.Random) -> Made:
    """The network is cut (connections break, or bytes just do not arrive), or the venue is shut."""
    how = chance.choice(("refuse", "swallow", "swallow and break", "maintenance"))
    return "outage", {"how": how, "seconds": chance.choice((0.3, 1.0, 2.5, 5.0))}


LOOSENED = {"hold": "release", "kill": "rearm"}
KINDS: dict[Callable[[random.Random], Made], float] = {
    shock: 6,
    lost_answer: 5,
    lost_question: 2,
    bad_stream: 3,
    mishap: 2,
    command: 2,
    outsider: 2,
    death: 2.5,
    end: 0.3,
    outage: 1.2,
}


# -- played ----------------------------------------------------------------------------------------


async def play(stage: Stage, acts: list[Act], seconds: float) -> None:
    """Do what the story says, then keep quiet until nothing is under way."""
    began = asyncio.get_running_loop().time()
    for act in acts:
        await _until(began + act.at)
        await getattr(stage, act.name)(**act.args)
    await _until(began + seconds)
    await quiet(stage)


async def _until(at: float) -> None:
    await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))


async def quiet(stage: Stage) -> None:
    """End every fault, open nothing new, and let the bot come to rest. Raises TimeoutError."""
    await stage.control("clear")
    since = (await stage.control("state"))["market_ms"]
    waited = calm = 0.0
    while calm < CALM_SECONDS:
        if not calm:
            await stage.ask("hold")  # a bot that was dead did not hear it
        await asyncio.sleep(1.0)
        waited += 1.0
        calm = calm + 1.0 if await stage.settled(since) else 0.0
        if waited >= QUIET_SECONDS_MAX:
            raise TimeoutError(f"expected rest within {QUIET_SECONDS_MAX:g} s of quiet, found none")
