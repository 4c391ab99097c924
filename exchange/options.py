"""Names the flags of the program and their types."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Options(msgspec.Struct, frozen=True):
    """The flags; see --help."""

    host: str
    port: int
    book: Path
    speed: float
    seed: int
    key: str
    secret: str
    wallet: str
    spread_bps: float
    impact_bps: float
    liquidity: float
    idle_exit: float
    live_rest: str
    live_stream: str
    replay: tuple[Path, ...] = ()
    fault: tuple[str, ...] = ()
    loop: bool = False
    no_rate_limit: bool = False
    live: str | None = None
    start: int | None = None
    symbols: str | None = None
    port_file: Path | None = None
