"""The network's and the venue's faults under which a bot dies at its await points, by name.

Each is what ``POST /control/fault`` of the exchange takes; ``AT`` stands for the path whose answer
the dying effect waits for. What must be provoked before an effect comes to a way at all is here as
well: a refused timestamp, a budget without room, a full house of effects.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any

from bot.core import settings
from bot.edge.venues import asking, budget
from bot.engine import effects
from tests.faults import awaits
from tests.faults.awaits import OPERATIONS, Way, real, ways

Body = dict[str, Any]

AT = "AT"
SIDES = ("before", "during", "after")
ALMOST_ALWAYS, OFTEN, SOMETIMES = 0.9, 0.6, 0.4
FIND = "/v5/order/realtime"
CLOCK = "/v5/market/time"
PATHS = {
    "place": "/v5/order/create",
    "amend": "/v5/order/amend",
    "cancel": "/v5/order/cancel",
}
CLOCK_WRONG_REAL_SECONDS = 8
NO_ROOM_SECONDS = 0.03
UNLIMITED = {
    "guard.reduced_win_rate": 0.02,
    "guard.paused_win_rate": 0.01,
    "controls.messages_minute_max": 600,
    "controls.messages_day_max": 100_000,
}
"""Hours of a market in a minute: a bot that is PAUSED, or has said enough, comes to no await point."""


def _rest(kind: str, **more: Any) -> tuple[Body, ...]:
    return ({"kind": kind, "match": AT, **more},)


def _streams(kind: str, *topics: str, **more: Any) -> tuple[Body, ...]:
    chance = {} if kind == "mute" else {"probability": SOMETIMES}
    return tuple({"kind": kind, "match": topic, **chance, **more} for topic in topics)


FAULTS: dict[str, tuple[Body, ...]] = {
    "": (),
    "cut before": _rest("drop", when="before"),
    "cut after": _rest("drop", when="after"),
    "slow before": _rest("delay", when="before", ms=80),
    "slow after": _rest("delay", when="after", ms=80),
    "late before": _rest("delay", when="before", ms=1_500),
    "too late before": _rest("delay", when="before", ms=4_300),
    "too late after": _rest("delay", when="after", ms=4_300),
    "latency": _rest("latency", ms=20, spread=1.0),
    "half open": _rest("half_open"),
    "503 before": _rest("http_status", when="before", status=503),
    "502 after": _rest("http_status", when="after", status=502),
    "429": _rest("http_status", when="before", status=429),
    "10000": _rest("ret_code", code=10000),
    "10016": _rest("ret_code", code=10016),
    "10006": _rest("ret_code", code=10006),
    "10002": _rest("ret_code", code=10002),
    "rate exhausted": _rest("exhaust", ms=300),
    "garbled": _rest("garble"),
    "stream cut": _streams("drop", "order", "execution"),
    "stream late": _streams("delay", "order", "execution", ms=150),
    "stream mute": _streams("mute", "order", "execution"),
    "stream twice": _streams("duplicate", "order", "execution"),
    "stream out of order": _streams("reorder", "execution"),
    "stream loses": _streams("lose", "order", "execution", "position"),
    "stream garbled": _streams("garble", "order"),
    "stream refused": _streams("http_status", "/v5/private", status=503),
    "stream hung up": _streams("hang_up", "/v5/private"),
    "all streams cut": ({"kind": "cut", "match": "/v5/p", "count": 2},),
    "wrong clock": ({"kind": "clock"},),
    "maintenance": ({"kind": "maintenance"},),
    "race": ({"kind": "race", "probability": OFTEN},),
    "rest rejected": ({"kind": "reject_rest", "probability": OFTEN},),
}
"""By name; "" is a death without a fault."""

STRIKES_ALL = frozenset({"maintenance", "wrong clock", "all streams cut"})
"""With these nothing is begun any more: they come when an order is there already."""


@dataclass(frozen=True)
class Target:
    """Where a child kills itself: the operation, its way, and ``before``, ``during``, or ``after``.

    Before it suspends there nothing of its request has left; during that, no answer has come.
    """

    operation: str
    way: int
    side: str
    fault: str

    @property
    def steps(self) -> Way:
        """The way itself."""
        return ways(self.operation)[self.way]


def path_of(operation: str, way: Way) -> str:
    """Return the path of the request that an effect waits for on this way."""
    if goes_through(way, "resync"):
        return CLOCK
    return FIND if goes_through(way, "find") else PATHS[operation]


def when(fault: str, operation: str, way: Way) -> str:
    """Return when a fault is armed: before the ``boot``, once it is ``running``, or with an ``order``.

    A boot comes through what strikes the streams, or the answers to this operation only.
    """
    if fault in STRIKES_ALL:
        return "order"
    own = any(body.get("match") == AT for body in FAULTS[fault])
    bears = not own or path_of(operation, way) == PATHS[operation]
    return "boot" if bears else "running"


def strikes_at_once(fault: str, side: str, way: Way) -> bool:
    """Tell whether it strikes the very request during whose wait the child dies, or is no fault.

    Others have to strike before the child may die: a request that has not left meets no fault, and
    one that has come to its end may have met none.
    """
    own = any(body.get("match") == AT for body in FAULTS[fault])
    return not fault or (own and side == "during" and "request" in way[-1].text)


def goes_through(way: Way, function: str) -> bool:
    """Tell whether a way leads through a function."""
    return any(one.function.partition(",")[0].rpartition(".")[2] == function for one in way)


def bodies(fault: str, operation: str, way: Way, *, speed: float, seed: int) -> list[Body]:
    """Return a fault as the exchange takes it."""
    found = []
    for number, body in enumerate(FAULTS[fault]):
        body = {**body, "seed": seed + number}
        if body.get("match") == AT:
            body["match"] = path_of(operation, way)
            body["probability"] = OFTEN if goes_through(way, "_body_of") else ALMOST_ALWAYS
        if body["kind"] == "clock":
            body["ms"] = int(CLOCK_WRONG_REAL_SECONDS * 1000 * speed)
        found.append(body)
    return found


def provoking(operation: str, way: Way, seed: int) -> list[Body]:
    """Return the faults without which no effect comes to this way."""
    path = FIND if goes_through(way, "find") else PATHS[operation]
    chance = {"probability": OFTEN, "seed": seed}
    if goes_through(way, "resync") or way[-1].text == "asyncio.sleep" or is_again(way):
        return [{"kind": "ret_code", "code": 10002, "match": path, **chance}]
    return []


def hasten(operation: str, way: Way) -> None:
    """Let a child come to a way soon: its own limits do not stop it, and it waits where it seldom would."""
    settings.PROFILES["moderate"] = UNLIMITED
    asking.PERSIST_REAL_SECONDS = 0.3
    if "_slot" in way[-1].text:
        effects.CONCURRENT_MAX = 1
    if not goes_through(way, "_news_within"):
        return
    path, take = path_of(operation, way), budget.Budget.take

    def take_later(self: budget.Budget, request: budget.Request, now_ns: int) -> float:
        waited = request.order > 0
        if request.bucket != path or waited or awaits.driven() != operation:
            return take(self, request, now_ns)
        return NO_ROOM_SECONDS

    budget.Budget.take = take_later  # type: ignore[method-assign]


def is_again(way: Way) -> bool:
    """Tell whether a way leads through a request that is sent again."""
    return any(one.function.endswith(", again") for one in way)


def pairs(turn: int = 0) -> list[Target]:
    """Return every way that can suspend with every fault; each ``turn`` dies on another side of it."""
    chance = random.Random(len(FAULTS))
    every = ((op, ways(op).index(way)) for op in OPERATIONS for way in real(op))
    return [
        Target(operation, way, SIDES[(chance.randrange(len(SIDES)) + turn) % len(SIDES)], fault)
        for (operation, way), fault in itertools.product(every, FAULTS)
    ]


def sample(share: int) -> list[Target]:
    """Return one in ``share`` of the pairs: each way with as many faults, each fault on as many ways."""
    numbered = enumerate(pairs())
    return [target for n, target in numbered if (n // len(FAULTS) + n) % share == 0]
