"""What no order may exceed, whoever or whatever wants it: the numbers of the pre-trade controls."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

LOWER, HIGHER = "lower", "higher"


def number(doc: str, low: float, high: float, tighter: str = "") -> Meta:
    """Describe a number: its meaning, its range, and the direction that is tighter."""
    return Meta(description=doc, ge=low, le=high, extra={"tighter": tighter})


def text(doc: str) -> Meta:
    """Describe a text or a flag."""
    return Meta(description=doc, extra={"tighter": ""})


class Controls(Struct, frozen=True):
    """Pre-trade controls: what no entry may exceed, whoever or whatever wants it."""

    collar: Annotated[
        float,
        number("A price further from the mark than this fraction is refused.", 0.0005, 0.03, LOWER),
    ] = 0.03
    collar_atr: Annotated[
        float, number("… or further than this many ATR of a minute.", 0.5, 5, LOWER)
    ] = 5.0
    drift_max: Annotated[
        float,
        number("No entry while the mark is this fraction from the last close.", 0.001, 0.05, LOWER),
    ] = 0.03
    value_max: Annotated[
        float, number("Value of one order, quote units, at most.", 1, 1_000_000, LOWER)
    ] = 50_000.0
    volume_share_max: Annotated[
        float,
        number("Quantity of one order as a share of a day's volume, at most.", 1e-6, 0.01, LOWER),
    ] = 0.01
    net_max: Annotated[
        float, number("Longs less shorts over equity, at most, either way.", 0.01, 5, LOWER)
    ] = 3.0
    orders_open_max: Annotated[int, number("Orders not at their end, at most.", 1, 400, LOWER)] = 60
    messages_second_max: Annotated[
        int,
        number(
            "Orders, amendments, and cancels a real second; cancels are counted, never refused.",
            1,
            40,
            LOWER,
        ),
    ] = 20
    messages_minute_max: Annotated[int, number("… a real minute.", 1, 600, LOWER)] = 200
    messages_day_max: Annotated[int, number("… a day of market time.", 1, 100_000, LOWER)] = 10_000
    duplicate_real_seconds: Annotated[
        float, number("The same entry twice within this is a duplicate.", 2, 60, HIGHER)
    ] = 2.0
    entries_hour_max: Annotated[
        int,
        number(
            "Executed entries of a symbol an hour; the next one holds it until a person releases it.",
            1,
            10,
            LOWER,
        ),
    ] = 10
    reentries_hour_max: Annotated[
        int,
        number(
            "Further entries on the same side of a symbol an hour; the next one holds it.",
            1,
            10,
            LOWER,
        ),
    ] = 4
    rejections_row_max: Annotated[
        int,
        number(
            "So many entries of a symbol rejected in a row hold it until a person releases it.",
            1,
            10,
            LOWER,
        ),
    ] = 3
    rejections_minute_max: Annotated[
        int,
        number("So many entries rejected within a real minute hold the account.", 1, 100, LOWER),
    ] = 10
    losses_row_max: Annotated[
        int, number("Losing trades in a row; the next entry holds the account.", 2, 12, LOWER)
    ] = 10
