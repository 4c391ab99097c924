"""Decides what does not fit between values: addresses, keys, files, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from bot.config.sections import Config
from bot.core.settings import cross_rules

BYBIT = {
    "live": {"venue.rest_url": "https://api.bybit.com", "venue.ws_url": "wss://stream.bybit.com"},
    "testnet": {
        "venue.rest_url": "https://api-testnet.bybit.com",
        "venue.ws_url": "wss://stream-testnet.bybit.com",
    },
    # Demo has no market of its own: its public data is the main stream.
    "demo": {
        "venue.rest_url": "https://api-demo.bybit.com",
        "venue.ws_url": "wss://stream-demo.bybit.com",
        "venue.ws_public_url": "wss://stream.bybit.com",
    },
}
"""Bybit's addresses, by environment."""


def broken(config: Config, origins: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each rule between values that does not hold."""
    yield from cross_rules(config.settings)
    yield from _store_rules(config)
    yield from _exchange_rules(config)
    yield from _venue_rules(config, origins)


def _venue_rules(config: Config, origins: Mapping[str, str]) -> Iterator[str]:
    """Yield what does not fit between the environment, its addresses, and its keys."""
    venue = config.venue
    yield from _address("rest_url", venue.env, venue.rest_url, ("http", "https"))
    yield from _address("ws_url", venue.env, venue.ws_url, ("ws", "wss"))
    if venue.ws_public_url:
        yield from _address("ws_public_url", venue.env, venue.ws_public_url, ("ws", "wss"))
    for name in ("key", "secret"):
        field, origin = f"venue.{name}_file", origins.get(f"venue.{name}", "nothing")
        if venue.env == "live" and not origin.startswith("file "):
            yield f"{field}: expected a file (venue.env is live), found {origin}"
        elif venue.env in ("testnet", "demo") and origin == "nothing":
            wanted = f"a file or BOT_VENUE_{name.upper()}"
            yield f"{field}: expected {wanted} (venue.env is {venue.env}), found neither"


def _address(name: str, env: str, url: str, schemes: tuple[str, str]) -> Iterator[str]:
    why = _why_not_url(env, url, schemes)
    if why:
        yield f"venue.{name}: {why}"


def _why_not_url(env: str, url: str, schemes: tuple[str, str]) -> str | None:
    """Tell why an address does not fit the environment, or None; it never repeats a password."""
    if env == "embedded":
        ours = "expected nothing (venue.env embedded picks its own port)"
        return f"{ours}, found {_safe(url)}" if url else None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises ValueError where it is no number
    except ValueError:
        return f"expected a {schemes[0]} or {schemes[1]} URL, found one that cannot be read"
    if "@" in parts.netloc:
        return "expected a URL without a name or password, found one with"
    if parts.scheme not in schemes or not host:
        return f"expected a {schemes[0]} or {schemes[1]} URL, found {_safe(url) or 'nothing'}"
    loopback = _is_loopback(host)
    if env == "sim" and not loopback:
        return f"expected a loopback host (venue.env is sim), found {host}"
    if env != "sim" and loopback:
        return f"expected a host of the venue (venue.env is {env}), found {host}"
    if not loopback and parts.scheme != schemes[1]:
        return f"expected {schemes[1]} (the host is not loopback), found {parts.scheme}"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def _safe(url: str) -> str:
    """Return a URL for an error message: no user, no password, no query."""
    return url.rpartition("@")[2].partition("?")[0]


def _exchange_rules(config: Config) -> Iterator[str]:
    for name in config.exchange.replay:
        if not Path(name).is_file():
            yield f"exchange.replay: expected a file at {name}, found none"
    if config.exchange.live and config.exchange.replay:
        yield "exchange.live: expected no exchange.replay beside it, found both"
    offered = config.exchange.symbols
    missing = [symbol for symbol in config.settings.market.symbols if symbol not in offered]
    if config.venue.env == "embedded" and offered and missing:
        yield f"market.symbols: expected symbols of exchange.symbols, found {', '.join(missing)}"


def _store_rules(config: Config) -> Iterator[str]:
    if config.store.batch_max > config.store.queue_max:
        most, found = config.store.queue_max, config.store.batch_max
        yield f"store.batch_max: expected ≤ store.queue_max ({most}), found {found}"
