"""What a hostile life is made of: acts, what was heard of before, and how one is picked of many."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from bot.core.values import CashMove, VenueFill
from bot.core.world import World
from tests.given import BTC, ETH

STRANGER = "XXXUSDT"
SYMBOLS = (BTC, ETH, STRANGER)
SECONDS = (*(0, 1, 1, 1, 3, 6, 16, 16) * 3, 31, 61, 3_700, 90_000)
MOVES = (*(1.0, 1.0, 1.01, 0.99) * 6, 0.97, 1.04, 0.5, 2.0, 0.0001, 1e6)
PRICES = ("100", "101.5", "97.3", "33.33", "0.1", "5000")
DEPTHS = ("light", "full", "day")
TROUBLES = ("unreachable", "throttled", "maintenance", "banned", "key", "unseen code")
REASONS = ("r", "", "timeout", "database or disk is full")
PARAMETERS = (
    ("risk.base_size", "0.01"),
    ("risk.leverage_max", "1"),
    ("guard.reduced_factor", "0"),
    ("kill.flatten", "true"),
    ("shutdown.flatten", "true"),
    ("risk.base_size", "9"),
    ("nonsense", "²"),
)


class Act(Struct, frozen=True):
    """What happens next; ``a``, ``b``, and ``c`` choose among what there is."""

    kind: str
    a: int
    b: int
    c: int


class Past:
    """What was ever heard of, so that it can be heard of again."""

    def __init__(self) -> None:
        self.orders = ["nobody-1-1-0"]
        self.effects = ["9-9"]
        self.commands = ["c-0"]
        self.fills: list[VenueFill] = []
        self.moves: list[CashMove] = []
        self.count = 0

    def remember(self, world: World) -> None:
        self.orders += [o for o in world.orders if o not in self.orders]
        self.effects += [e for e in world.deliveries if e not in self.effects]

    def number(self) -> int:
        self.count += 1
        return self.count


def pick(choices: Any, n: int) -> Any:
    choices = list(choices)
    return choices[n % len(choices)]


def newest(choices: list[Any], n: int) -> Any:
    """Pick from the end; mostly what is under way, now and then what is long over."""
    return choices[-1 - n % min(len(choices), 40 if n % 5 == 0 else 3)]
