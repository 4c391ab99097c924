"""Whatever is asked in whatever order, the books of the exchange agree with each other."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from exchange.errors import Refused
from tests.exchange.matching_world import World

STEPS = 250


def wish(chance: random.Random, world: World) -> dict[str, Any]:
    """A create body, mostly sensible."""
    last = world.market.last(world.instrument())
    category = chance.choice(["linear", "linear", "spot"])
    side = chance.choice(["Buy", "Sell"])
    body: dict[str, Any] = {"category": category, "side": side, "symbol": "SOLUSDT"}
    body["qty"] = str(chance.choice([1, 5, 20, 80]))
    body["orderType"] = chance.choice(["Market", "Limit", "Limit"])
    if body["orderType"] == "Limit":
        body["price"] = str(round(last * Decimal(chance.uniform(0.985, 1.015)), 2))
        body["timeInForce"] = chance.choice(["GTC", "GTC", "IOC", "FOK", "PostOnly"])
    body["smpType"] = chance.choice(["None", "CancelMaker", "CancelTaker", "CancelBoth"])
    up, down = (str(round(last * Decimal(f), 2)) for f in ("1.03", "0.97"))
    if chance.random() < 0.3:
        body |= {"takeProfit": up, "stopLoss": down} if side == "Buy" else {"stopLoss": up}
        body["tpslMode"] = chance.choice(["Full", "Partial"])
    if chance.random() < 0.15 and category == "linear":
        body["reduceOnly"] = True
    if chance.random() < 0.15:
        body["triggerPrice"] = str(round(last * Decimal("1.01"), 2))
        body |= {"triggerDirection": 1, "orderFilter": chance.choice(["StopOrder", "tpslOrder"])}
    return body


def act(chance: random.Random, world: World, price: float) -> float:
    """One random request, or some time; returns the price now."""
    orders = list(world.engine.orders.values())
    kind = chance.choice(["create"] * 4 + ["time"] * 3 + ["cancel", "amend", "stop", "all"])
    if kind == "create":
        world.engine.create(wish(chance, world))
    elif kind == "time":
        price = round(price * chance.uniform(0.99, 1.01), 2)
        world.go(price, chance.choice([1, 1, 3]))
    elif kind == "cancel" and orders:
        world.engine.cancel(chance.choice(orders))
    elif kind == "amend" and orders:
        order = chance.choice(orders)
        world.amend(order, qty=str(order.qty + chance.choice([-1, 1, 3])))
    elif kind == "stop":
        far = str(round(price * 0.02, 2))
        world.stop(trailingStop=far, stopLoss=str(round(price * chance.choice([0.98, 1.02]), 2)))
    elif chance.random() < 0.2:
        world.engine.cancel_all({"category": "linear", "symbol": "SOLUSDT"})
    return price


def check(world: World) -> None:
    """What must hold between any two requests."""
    position = world.account.position("SOLUSDT")
    assert all(balance >= 0 for coin, balance in world.account.coins.items() if coin != "USDT")
    for order in world.engine.orders.values():
        assert order.is_open
        assert 0 <= order.filled < order.qty or order.in_quote
        assert world.now(order) == order, "the book knows every open order as it is"
        if order.protects and order.category == "linear":
            assert 0 < order.leaves <= position.closable_by(order.side)
        if order.protects and order.category == "linear" and order.waits:
            whole = not order.stop_order_type.startswith("Partial")
            assert not whole or order.qty == abs(position.size)
        if order.rests and order.reduce_only:
            assert order.leaves <= position.closable_by(order.side)
    for key in world.engine.active_keys():
        bids, asks = (world.engine.resting(key, side) for side in ("Buy", "Sell"))
        assert not bids or not asks or bids[0].price < asks[0].price, "own orders never cross"


@pytest.mark.parametrize("seed", range(12))
def test_random_requests_leave_every_book_in_agreement(world: World, seed: int) -> None:
    chance, price, refused = random.Random(seed), 100.0, 0
    for _ in range(STEPS):
        try:
            price = act(chance, world, price)
        except Refused:
            refused += 1
        check(world)
    fills: dict[str, list[dict[str, Any]]] = defaultdict(list)
    taken: dict[tuple[str, str, int], Decimal] = defaultdict(Decimal)
    for row in world.rows("execution"):
        fills[row["orderId"]].append(row)
        if not row["isMaker"]:
            second = int(row["execTime"]) // 1000
            taken[row["category"], row["side"], second] += Decimal(row["execQty"])
    for order_id, rows in fills.items():
        [(_, order)] = world.book.orders("order_id = ?", [order_id], 1, 2**62)
        assert order.filled == sum(Decimal(row["execQty"]) for row in rows)
        assert order.filled_value == sum(Decimal(row["execValue"]) for row in rows)
        limit = order.price or None
        for row in rows:
            worse = Decimal(row["execPrice"]) - (limit or Decimal(row["execPrice"]))
            assert (worse if order.side == "Buy" else -worse) <= 0, "no fill beyond its limit"
    assert max(taken.values()) < 1200, "a second offers no more than its liquidity"
    size = sum(
        Decimal(row["execQty"]) * (1 if row["side"] == "Buy" else -1)
        for row in world.rows("execution")
        if row["category"] == "linear"
    )
    assert world.size() == size
    assert refused < STEPS * 0.6, "most requests are sensible"
    assert len(fills) > 20
