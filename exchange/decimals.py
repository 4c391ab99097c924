"""Turns numbers into Bybit's decimal strings and onto an instrument's grid."""

from __future__ import annotations

from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Decimal,
    InvalidOperation,
)

from exchange.errors import Refused

ZERO = Decimal(0)
_CENT_OF_CENT = Decimal("0.00000001")


def text(value: Decimal) -> str:
    """A plain decimal string without exponent or trailing zeros; zero is "0"."""
    return format(value.normalize(), "f") if value else "0"


def optional(value: Decimal) -> str:
    """As `text`, but zero (nothing set) is the empty string."""
    return text(value) if value else ""


def cents(value: Decimal) -> Decimal:
    """Rounded to 1e-8, the grain in which this exchange books money."""
    return value.quantize(_CENT_OF_CENT, ROUND_HALF_EVEN)


def floor_to(value: Decimal, grid: Decimal) -> Decimal:
    """The largest multiple of `grid` that is not above `value`."""
    return (value / grid).to_integral_value(ROUND_FLOOR) * grid


def ceil_to(value: Decimal, grid: Decimal) -> Decimal:
    """The smallest multiple of `grid` that is not below `value`."""
    return (value / grid).to_integral_value(ROUND_CEILING) * grid


def truncate_to(value: Decimal, grid: Decimal) -> Decimal:
    """`value` cut toward zero to a multiple of `grid`."""
    return (value / grid).to_integral_value(ROUND_DOWN) * grid


def parse(value: object, name: str, code: int = 10001) -> Decimal:
    """A client's number; missing or empty is zero. Raises `Refused` for anything not finite."""
    if value is None or value == "":
        return ZERO
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Refused(code, f"params error: {name} invalid") from None
    if not number.is_finite():
        raise Refused(code, f"params error: {name} invalid")
    return number
