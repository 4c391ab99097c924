"""Funding and liquidation among orders: everything happens in its own second, even in one jump."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.exchange.matching_world import World

EIGHT_S = 8 * 3600


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = World(tmp_path)
    opened.engine.clearing.funding.pin("SOLUSDT", Decimal("0.001"))
    yield opened
    opened.book.close()


def boundary(world: World) -> int:
    """The second of the next funding."""
    return (world.clock.now_s() // EIGHT_S + 1) * EIGHT_S


def at(world: World, second: int, price: float) -> None:
    world.path.later.append((second, price))


def jump_to(world: World, second: int) -> None:
    world.clock.jump(second - world.clock.now_s())
    world.engine.step()


def kinds(world: World) -> list[str]:
    rows = world.book.rows("executions", "1", [], 99, 2**62)
    return [row["execType"] for _, row in reversed(rows)]


def test_a_position_that_a_stop_closed_before_the_boundary_pays_no_funding(world: World) -> None:
    world.market_order(stopLoss="95")
    due = boundary(world)
    at(world, due - 10, 94.0)
    jump_to(world, due + 10)
    assert kinds(world) == ["Trade", "Trade"]


def test_a_position_that_a_stop_closes_in_the_second_of_the_boundary_pays_first(
    world: World,
) -> None:
    world.market_order(stopLoss="95")
    due = boundary(world)
    at(world, due, 94.0)
    jump_to(world, due + 10)
    assert kinds(world) == ["Trade", "Funding", "Trade"]


def test_a_limit_order_that_filled_before_the_boundary_pays_within_the_same_jump(
    world: World,
) -> None:
    world.order(price="95")
    due = boundary(world)
    at(world, due - 10, 94.0)
    jump_to(world, due + 2 * EIGHT_S)
    assert kinds(world) == ["Trade", "Funding", "Funding", "Funding"]


def test_a_position_that_opens_and_starves_within_one_jump_is_liquidated(world: World) -> None:
    world.engine.set_leverage(world.instrument(), Decimal(100))
    world.order(price="95", qty="10000")
    start = world.clock.now_s()
    at(world, start + 100, 94.0)
    at(world, start + 200, 80.0)
    at(world, start + 300, 100.0)
    jump_to(world, start + 1000)
    assert kinds(world)[-1] == "BustTrade"
    assert world.account.held() == []


def test_a_stop_is_faster_than_a_liquidation_in_the_same_second(world: World) -> None:
    world.engine.set_leverage(world.instrument(), Decimal(100))
    world.market_order(qty="900", stopLoss="95")
    at(world, world.clock.now_s() + 10, 94.0)
    jump_to(world, world.clock.now_s() + 20)
    assert set(kinds(world)) == {"Trade"}
    assert world.account.held() == []


def test_a_liquidation_pushes_order_execution_position_and_wallet(world: World) -> None:
    world.engine.set_leverage(world.instrument(), Decimal(100))
    world.market_order(qty="900")
    world.account.move("USDT", world.account.available("USDT", []) - 100, "withdraw", [])
    world.engine.events.clear()
    world.go(90.0)
    topics = [topic for topic, _ in world.engine.events]
    assert topics == ["position", "execution", "order", "position", "wallet"]
    rows = [row for _, row in world.engine.events]
    assert (rows[0]["positionStatus"], rows[3]["size"]) == ("Liq", "0")
    assert rows[2]["orderStatus"] == "Filled"
    assert Decimal(rows[4]["totalWalletBalance"]) < 10
