"""Says in how many ways this exchange refuses: a request of a client, or its own start."""

from __future__ import annotations


class Refused(Exception):
    """A request that the venue refuses, with Bybit's `retCode` and `retMsg`."""

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.headers: dict[str, str] = {}


class BadStart(Exception):
    """The flags, the book, or the candle files do not allow a start; the text says why."""
