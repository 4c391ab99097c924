"""Names the flags of the program, their types, and what they are when nobody gives them."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The flags; see --help."""

    host: str = "127.0.0.1"
    port: int = 0
    port_file: Path | None = None
    book: Path = Path("exchange.db")
    speed: float = 1.0
    start: int | None = None
    symbols: str | None = None
    seed: int = 1988
    replay: tuple[Path, ...] = ()
    loop: bool = False
    live: str | None = None
    live_rest: str = "https://api.bybit.com"
    live_stream: str = "wss://stream.bybit.com"
    key: str = "paperkey"
    secret: str = "papersecret"  # noqa: S105 - the key of a simulated exchange
    api_key: tuple[str, ...] = ()
    dcp: bool = False
    wallet: str = "100000"
    spread_bps: float = 1.0
    impact_bps: float = 5.0
    liquidity: float = 200_000.0
    fee_tier: str | None = None
    no_rate_limit: bool = False
    idle_exit: float = 0.0
    fault: tuple[str, ...] = ()
