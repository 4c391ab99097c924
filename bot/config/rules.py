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

_DOMAINS = (
    *("bybit.com", "bytick.com", "bybit.nl", "bybit.eu", "bybit.kz", "bybit.ae", "bybit.id"),
    *("bybit-tr.com", "bybitgeorgia.ge"),
)
_API_LIVE = frozenset(f"api.{domain}" for domain in _DOMAINS)
_STREAM_LIVE = frozenset(f"stream.{domain}" for domain in _DOMAINS)
HOSTS = {
    ("live", "rest_url"): _API_LIVE,
    ("live", "ws_url"): _STREAM_LIVE,
    ("live", "ws_public_url"): _STREAM_LIVE,
    ("testnet", "rest_url"): frozenset({"api-testnet.bybit.com"}),
    ("testnet", "ws_url"): frozenset({"stream-testnet.bybit.com"}),
    ("testnet", "ws_public_url"): frozenset({"stream-testnet.bybit.com"}),
    ("demo", "rest_url"): frozenset({"api-demo.bybit.com"}),
    ("demo", "ws_url"): frozenset({"stream-demo.bybit.com"}),
    ("demo", "ws_public_url"): _STREAM_LIVE,
}
"""The hosts that each environment of Bybit has, by the key of their address."""

UNIX = "unix:"
DCP_SECONDS_MIN = 3  # the venue's own


def broken(config: Config, origins: Mapping[str, str], account: str = "venue") -> Iterator[str]:
    """Yield a sentence for each rule between values that does not hold.

    ``account`` is the section whose key is used.
    """
    yield from cross_rules(config.settings)
    yield from _store_rules(config)
    yield from _exchange_rules(config)
    yield from _venue_rules(config, origins, account)
    yield from _deadman_rules(config)
    yield from _metrics_rules(config)
    yield from _training_rules(config)


def _venue_rules(config: Config, origins: Mapping[str, str], account: str) -> Iterator[str]:
    """Yield what does not fit between the environment, its addresses, and its account."""
    venue = config.venue
    yield from _address("rest_url", venue.env, venue.rest_url, ("http", "https"))
    yield from _address("ws_url", venue.env, venue.ws_url, ("ws", "wss"))
    if venue.ws_public_url:
        yield from _address("ws_public_url", venue.env, venue.ws_public_url, ("ws", "wss"))
    if venue.env == "live" and not venue.account:
        yield "venue.account: expected the account's uid or name (venue.env is live), found nothing"
    if 0 < venue.dcp_seconds < DCP_SECONDS_MIN:
        yield f"venue.dcp_seconds: expected 0, or ≥ {DCP_SECONDS_MIN}, found {venue.dcp_seconds}"
    for name in ("key", "secret") if account else ():
        why = _why_not_key(venue.env, account, name, origins.get(f"{account}.{name}", "nothing"))
        if why:
            yield f"{account}.{name}_file: {why} (venue.env is {venue.env})"


def _why_not_key(env: str, account: str, name: str, origin: str) -> str | None:
    """Tell why a key may not come from where it came, or None: Bybit's come from files only."""
    if env in BYBIT:
        return None if origin.startswith("file ") else f"expected a file, found {origin}"
    if env == "sim" and account != "venue" and origin == "nothing":
        return f"expected a file or BOT_{account.upper()}_{name.upper()}, found neither"
    return None  # the embedded exchange has keys of its own


def _address(name: str, env: str, url: str, schemes: tuple[str, str]) -> Iterator[str]:
    why = _why_not_socket(env, url) if url.startswith(UNIX) else _why_not_url(env, url, schemes)
    if why is None and env in BYBIT:
        host = urlsplit(url).hostname or ""
        if host not in HOSTS[env, name]:
            why = f"expected a host of the venue (venue.env is {env}), found {host}"
    if why:
        yield f"venue.{name}: {why}"


def _why_not_socket(env: str, url: str) -> str | None:
    """Tell why a Unix socket does not fit the environment, or None."""
    path = url.removeprefix(UNIX)
    if env != "sim":
        return f"expected no Unix socket (venue.env is {env}), found {path}"
    return None if path.startswith("/") else f"expected an absolute path, found {path or 'nothing'}"


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


def _deadman_rules(config: Config) -> Iterator[str]:
    """Yield what does not fit between the stages: each comes after the one before."""
    warn, cancel = config.deadman.warn_real_seconds, config.deadman.cancel_real_seconds
    flatten = config.deadman.flatten_real_seconds
    if not warn < cancel:
        expected = f"expected > deadman.warn_real_seconds ({warn:g})"
        yield f"deadman.cancel_real_seconds: {expected}, found {cancel:g}"
    if flatten and not flatten >= cancel:
        expected = f"expected 0, or ≥ deadman.cancel_real_seconds ({cancel:g})"
        yield f"deadman.flatten_real_seconds: {expected}, found {flatten:g}"


def _metrics_rules(config: Config) -> Iterator[str]:
    """Yield why the metrics would be seen by more than this machine, or by nobody."""
    host, textfile = config.metrics.host, config.metrics.textfile
    if not _is_loopback(host):
        yield f"metrics.host: expected a loopback address, found {host or 'nothing'}"
    if textfile and not textfile.endswith(".prom"):
        yield f"metrics.textfile: expected a name that ends in .prom, found {textfile}"


def _training_rules(config: Config) -> Iterator[str]:
    most, found = (
        config.settings.models.silent_real_seconds,
        config.training.attempt_real_seconds,
    )
    if not found < most:  # or a trainer that still learns would be given up
        yield (
            "training.attempt_real_seconds: expected under models.silent_real_seconds"
            f" ({most:g}), found {found:g}"
        )


def _store_rules(config: Config) -> Iterator[str]:
    if config.store.batch_max > config.store.queue_max:
        most, found = config.store.queue_max, config.store.batch_max
        yield f"store.batch_max: expected ≤ store.queue_max ({most}), found {found}"
