"""Injects the faults that a test asked for, each drawn from its own seed and logged with a trace.

A fault strikes answers of REST paths, frames of streams, whole connections, orders, or the market:

    kind          strikes       what happens
    http_status   rest, dial    the answer is an HTTP `status`; `when` before or after processing
    ret_code      rest          the request is not processed; the answer has `code` and `message`
    drop          rest, stream  the connection is cut; of rest `when` before or after processing
    delay         rest, stream  the answer (`when`) or the frame comes `ms` real ms late
    latency       rest, dial    every answer takes `ms` (median), lognormal with `spread`
    exhaust       rest          10006: the path's rate is used up for `ms` more
    half_open     rest, dial    the connection stays open, but nothing is read and nothing answered
    garble        rest, stream  the body is no JSON, or its prices are nonsense (`how`)
    duplicate     stream        a frame comes twice
    reorder       stream        a frame comes after the next one (match execution: order row first)
    mute          stream        no frames of the topic; pings are answered
    lose          stream        a frame is missing
    gap           stream        a closed candle is missing; REST has it
    hang_up       dial          a new stream is accepted and closed at once with `status`
    cut           now           open streams are cut, e.g. match /v5/private
    forget        now           open streams lose their subscriptions to the topic
    maintenance   now           streams close with 1012, private requests answer 10016
    clock         now           the time shown and checked is wrong by `ms`
    stale_book    now           the displayed book of `symbol` stands still
    crossed_book  now           the displayed book of `symbol` has bids above asks
    delist        now           `symbol` is not traded any more; its orders are cancelled
    filters       now           `tick` and `step` of `symbol` change
    balance       now           an outsider moves `amount` of `coin` (negative: takes it)
    adl           now           `share` of the position of `symbol` is deleveraged
    batch_item    order         one order of a batch fails with `code`
    race          order         an order fills completely just before its cancel, which is acked
    reject_rest   order         an order fills for `share` of it, then the rest is rejected

`match` is a prefix: of a path if it begins with "/", else of a topic; empty matches everything.
A liquidation needs no fault: POST /control/price moves the mark against a position.
A stream is refused by http_status with match /v5/private (or another stream's path).
What lasts stays until it is cleared: latency, half_open, mute, and maintenance, clock, stale_book,
crossed_book, delist, filters, which clearing undoes. Every other fault strikes `count` times
(default 1), or, with `probability`, each match with that chance and without end unless `count`.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from exchange.errors import Refused

Surface = Literal["rest", "stream", "dial", "now", "order"]
Garble = Literal["json", "nan", "inf", "zero", "negative", "truncate"]
KINDS: dict[str, tuple[Surface, ...]] = {
    "http_status": ("rest", "dial"),
    "ret_code": ("rest",),
    "drop": ("rest", "stream"),
    "delay": ("rest", "stream"),
    "latency": ("rest", "dial"),
    "exhaust": ("rest",),
    "half_open": ("rest", "dial"),
    "garble": ("rest", "stream"),
    "duplicate": ("stream",),
    "reorder": ("stream",),
    "mute": ("stream",),
    "lose": ("stream",),
    "gap": ("stream",),
    "hang_up": ("dial",),
    "cut": ("now",),
    "forget": ("now",),
    "maintenance": ("now",),
    "clock": ("now",),
    "stale_book": ("now",),
    "crossed_book": ("now",),
    "delist": ("now",),
    "filters": ("now",),
    "balance": ("now",),
    "adl": ("now",),
    "batch_item": ("order",),
    "race": ("order",),
    "reject_rest": ("order",),
}
UNDONE = frozenset({"maintenance", "clock", "stale_book", "crossed_book", "delist", "filters"})
LASTING = UNDONE | {"latency", "half_open", "mute"}
_GARBLES: tuple[Garble, ...] = ("json", "nan", "inf", "zero", "negative", "truncate")
_PRICES = frozenset(
    {
        "lastPrice",
        "markPrice",
        "indexPrice",
        "bid1Price",
        "ask1Price",
        "open",
        "high",
        "low",
    }
    | {"close", "price", "p", "execPrice"}
)


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One requested fault; see the module for what each kind reads."""

    kind: str
    match: str = ""
    symbol: str = ""  # of a stream's topic, a book, an instrument, or a position
    category: Literal["spot", "linear"] = "linear"  # of the instrument
    count: int | None = None
    probability: float | None = None
    seed: int = 0
    when: Literal["before", "after"] = "before"  # drop, delay, http_status: of the processing
    ms: int | None = None  # delay, latency, exhaust: real ms (1000); clock: market ms (3000)
    spread: float = 0.0  # latency
    status: int | None = None  # http_status (503), hang_up (1000)
    code: int = 10016  # ret_code, batch_item
    message: str = "Server error."
    how: Garble | None = None  # garble; drawn from the seed if absent
    share: float = 0.5  # reject_rest, adl
    coin: str = "USDT"  # balance
    amount: str = "0"  # balance
    tick: str = ""  # filters
    step: str = ""  # filters
    number: int = 0  # in the order of arming
    hits: int = 0
    trace: str = ""  # of the last hit: in the log, and as Traceid of a struck answer

    def surface_fits(self, surface: Surface) -> bool:
        """True if the fault can happen on this surface."""
        if surface not in KINDS[self.kind]:
            return False
        return (
            surface == "order"
            or not self.match
            or self.match.startswith("/") != (surface == "stream")
        )

    @property
    def real_s(self) -> float:
        """`ms` in seconds."""
        return (1000 if self.ms is None else self.ms) / 1000


Log = Callable[..., None]


class Faults:
    """The faults now armed, in the order in which they were asked for."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._armed: list[tuple[Fault, random.Random]] = []
        self._asked = 0
        self._cleared = asyncio.Event()
        self.act: Callable[[Fault], None] | None = None  # carries out what strikes now
        self.undo: Callable[[Fault], None] | None = None  # and takes it back

    def arm(self, request: Any) -> Fault:
        """Arms a fault described by a JSON object; raises `Refused` if it is not one."""
        fault = self._checked(request)
        if fault.count is None and fault.probability is None and fault.kind not in LASTING:
            fault.count = 1
        self._asked += 1
        fault.number = self._asked
        self._armed.append((fault, random.Random(fault.seed)))
        if "now" in KINDS[fault.kind]:
            if self.act is None:
                raise Refused(10001, f"expected a running exchange for {fault.kind}", 400)
            try:
                self.act(fault)
            except Refused:
                self._disarm(fault)
                raise
            self._hit(fault, fault.symbol or fault.match or fault.kind)
        return fault

    def _checked(self, request: Any) -> Fault:
        try:
            fault = msgspec.convert(request, Fault)
        except msgspec.ValidationError as error:
            raise Refused(10001, f"expected a fault, found: {error}", 400) from None
        if fault.kind not in KINDS:
            kinds = ", ".join(KINDS)
            raise Refused(10001, f"expected one of {kinds}, found {fault.kind!r}", 400)
        if fault.probability is not None and not 0 <= fault.probability <= 1:
            raise Refused(10001, f"expected 0 <= probability <= 1, found {fault.probability}", 400)
        if not 0 < fault.share <= 1:
            raise Refused(10001, f"expected 0 < share <= 1, found {fault.share}", 400)
        return fault

    def clear(self) -> None:
        """Disarms every fault and takes back what lasts."""
        armed, self._armed = self._armed, []
        self._cleared.set()
        self._cleared = asyncio.Event()
        for fault, _ in armed:
            if fault.kind in UNDONE and self.undo is not None:
                self.undo(fault)

    def state(self) -> list[Fault]:
        """The armed faults with their hits."""
        return [fault for fault, _ in self._armed]

    async def cleared(self) -> None:
        """Waits until the faults are cleared."""
        await self._cleared.wait()

    def lasting(self, kind: str) -> Fault | None:
        """The armed fault of a kind that lasts, or None."""
        return next((fault for fault, _ in self._armed if fault.kind == kind), None)

    def draw(
        self, surface: Surface, kinds: tuple[str, ...], name: str, when: str = ""
    ) -> Fault | None:
        """The fault that hits this path or topic now, or None; a hit is counted and logged."""
        for fault, chance in self._armed:
            if fault.kind not in kinds or not fault.surface_fits(surface):
                continue
            if not name.startswith(fault.match) or (when and fault.when != when):
                continue
            if surface == "stream" and fault.symbol not in ("", name.rpartition(".")[2]):
                continue
            if fault.probability is not None and chance.random() >= fault.probability:
                continue
            self._hit(fault, name)
            return fault
        return None

    def _hit(self, fault: Fault, name: str) -> None:
        fault.hits += 1
        chance = random.Random(f"{fault.number} {fault.kind} {fault.seed} {fault.hits}")
        fault.trace = uuid.UUID(int=chance.getrandbits(128)).hex
        if fault.kind not in LASTING or fault.hits == 1:
            self._log(
                fault=fault.kind, where=name, seed=fault.seed, hit=fault.hits, trace=fault.trace
            )
        if fault.count is not None and fault.hits >= fault.count:
            self._disarm(fault)

    def _disarm(self, fault: Fault) -> None:
        self._armed = [(other, c) for other, c in self._armed if other is not fault]

    @staticmethod
    def garble(fault: Fault, payload: bytes) -> bytes:
        """The payload, spoiled in the way the fault says or its seed and hit choose."""
        chance = random.Random(f"{fault.seed}-{fault.hits}")
        how: Garble = fault.how if fault.how is not None else chance.choice(_GARBLES)
        if how == "json":
            return payload[:-1] + b',"":]'
        if how == "truncate":
            return payload[: max(1, len(payload) // 2)]
        value = {"nan": "NaN", "inf": "Infinity", "zero": "0", "negative": "-1"}[how]
        return msgspec.json.encode(_spoil(msgspec.json.decode(payload), value))

    @staticmethod
    def latency_s(fault: Fault) -> float:
        """One draw of a latency: lognormal around its median, in real seconds."""
        chance = random.Random(f"{fault.seed}-{fault.hits}")
        return fault.real_s * chance.lognormvariate(0.0, fault.spread)


def sentences() -> dict[str, str]:
    """What each kind does, from the table above."""
    rows = (line.split(maxsplit=1) for line in (__doc__ or "").splitlines() if line[:4] == "    ")
    return {kind: " ".join(rest.split()) for kind, rest in rows if kind in KINDS}


def _spoil(node: Any, value: str) -> Any:
    """Replaces every price, by its name or by its place in a row of numbers."""
    if isinstance(node, dict):
        return {
            key: value if key in _PRICES and isinstance(item, str) else _spoil(item, value)
            for key, item in node.items()
        }
    if isinstance(node, list):
        if len(node) >= 2 and all(isinstance(item, str) for item in node):
            first = 1 if len(node) >= 6 else 0  # a candle row begins with its time
            return [value if first <= n < first + 4 else item for n, item in enumerate(node)]
        return [_spoil(item, value) for item in node]
    return node
