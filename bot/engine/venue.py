"""Says where the venue is: Bybit's hosts, a configured address, or the embedded exchange."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from bot.config.sections import Config
from bot.edge import embedded


class Venue(Struct, frozen=True):
    """Where the venue is, and the embedded exchange if this process is to stop it."""

    rest_url: str
    ws_url: str
    ws_public_url: str
    key: str
    secret: str
    source: str = ""
    child: embedded.Endpoint | None = None

    def __repr__(self) -> str:
        return f"Venue({self.rest_url}, key and secret hidden)"


async def find_venue(config: Config, folder: Path) -> Venue:
    """Return the venue's address; with no configuration, start or find the embedded exchange."""
    venue = config.venue
    if venue.env != "embedded":
        public = venue.ws_public_url or venue.ws_url
        return Venue(venue.rest_url, venue.ws_url, public, venue.key, venue.secret, venue.rest_url)
    flags = [flag for path in config.exchange.replay for flag in ("--replay", path)]
    if config.exchange.live:
        flags += ["--live", config.exchange.live]
    if config.exchange.symbols:
        flags += ["--symbols", ",".join(config.exchange.symbols)]
    speed = 1.0 if config.exchange.live else config.exchange.speed
    child = await embedded.start(folder, config.exchange.seed, speed, flags)
    source = " ".join(
        (
            "embedded",
            config.exchange.live or f"seed {config.exchange.seed}",
            *config.exchange.replay,
        )
    )
    return Venue(child.rest_url, child.ws_url, child.ws_url, child.key, child.secret, source, child)
