"""Injects the faults that a test asked for, each drawn from its own seed and logged."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from exchange.errors import Refused

Surface = Literal["rest", "stream"]
Kind = Literal["drop", "delay", "duplicate", "reorder", "mute", "garble", "http_status", "ret_code"]
Garble = Literal["json", "nan", "inf", "zero", "negative", "truncate"]
_SURFACES: dict[str, tuple[Surface, ...]] = {
    "drop": ("rest", "stream"),
    "delay": ("rest", "stream"),
    "garble": ("rest", "stream"),
    "duplicate": ("stream",),
    "reorder": ("stream",),
    "mute": ("stream",),
    "http_status": ("rest",),
    "ret_code": ("rest",),
}
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
    """One requested fault.

    `match` is a prefix: of a REST path if it begins with "/", else of a stream topic; empty matches
    everything. Without `probability` every match is hit, `count` times (default 1; a mute lasts
    until it is cleared). With `probability` each match is hit with that chance.
    """

    kind: Kind
    match: str = ""
    symbol: str = ""  # stream topics of this symbol only
    count: int | None = None
    probability: float | None = None
    seed: int = 0
    when: Literal["before", "after"] = "before"  # drop, delay, http_status: of the processing
    ms: int = 1000  # delay, in real milliseconds
    status: int = 503  # http_status
    code: int = 10016  # ret_code
    message: str = "Server error."
    how: Garble | None = None  # garble; drawn from the seed if absent
    hits: int = 0

    def surface_fits(self, surface: Surface) -> bool:
        """True if the fault can happen on this surface."""
        if surface not in _SURFACES[self.kind]:
            return False
        return not self.match or self.match.startswith("/") == (surface == "rest")


Log = Callable[..., None]


class Faults:
    """The faults now armed, in the order in which they were asked for."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._armed: list[tuple[Fault, random.Random]] = []

    def arm(self, request: Any) -> Fault:
        """Arms a fault described by a JSON object; raises `Refused` if it is not one."""
        try:
            fault = msgspec.convert(request, Fault)
        except msgspec.ValidationError as error:
            raise Refused(10001, f"expected a fault, found: {error}", 400) from None
        if fault.probability is not None and not 0 <= fault.probability <= 1:
            raise Refused(10001, f"expected 0 <= probability <= 1, found {fault.probability}", 400)
        if fault.count is None and fault.probability is None and fault.kind != "mute":
            fault.count = 1
        self._armed.append((fault, random.Random(fault.seed)))
        return fault

    def clear(self) -> None:
        """Disarms every fault."""
        self._armed.clear()

    def state(self) -> list[Fault]:
        """The armed faults with their hits."""
        return [fault for fault, _ in self._armed]

    def draw(
        self, surface: Surface, kinds: tuple[Kind, ...], name: str, when: str = ""
    ) -> Fault | None:
        """The fault that hits this path or topic now, or None; a hit is counted and logged."""
        for fault, chance in self._armed:
            if fault.kind not in kinds or not fault.surface_fits(surface):
                continue
            if not name.startswith(fault.match) or (when and fault.when != when):
                continue
            if fault.symbol and name.rpartition(".")[2] != fault.symbol:
                continue
            if fault.probability is not None and chance.random() >= fault.probability:
                continue
            self._hit(fault, name)
            return fault
        return None

    def _hit(self, fault: Fault, name: str) -> None:
        fault.hits += 1
        if fault.kind != "mute" or fault.hits == 1:
            self._log(fault=fault.kind, where=name, seed=fault.seed, hit=fault.hits)
        if fault.count is not None and fault.hits >= fault.count:
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
