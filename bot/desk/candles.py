"""Reads the recorded candles that a model may learn from, read-only."""

from __future__ import annotations

from pathlib import Path

from bot.core.values import Candle
from bot.desk import files
from bot.store import snapshots


def stored(state: Path, symbols: tuple[str, ...], rows: int) -> dict[str, list[Candle]]:
    """Return each symbol's newest candles without a hole; no symbol means all of them.

    ``rows`` is how many there may be in all. Raises ConfigError if there is no database.
    """
    connection = files.open_state(state)
    try:
        newest = dict(
            # the newest taken in, not the largest time: a clock may have been set back
            connection.execute(
                "SELECT symbol, open_time FROM (SELECT symbol, open_time, row_number() OVER"
                " (PARTITION BY symbol ORDER BY received_at DESC, open_time DESC) AS n FROM candle)"
                " WHERE n = 1 ORDER BY symbol"
            ).fetchall()
        )
        wanted = [symbol for symbol in newest if not symbols or symbol in symbols]
        share = rows // max(1, len(wanted))
        return {
            symbol: snapshots.candles(connection, symbol, newest[symbol], share)
            for symbol in wanted
        }
    finally:
        connection.close()
