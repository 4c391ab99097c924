"""Starts the exchange from flags: where its prices come from, how fast time runs, what to break."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from aiohttp import web

from exchange.assembly import open_exchange
from exchange.clock import wall_ms
from exchange.errors import BadStart
from exchange.fees import TIERS
from exchange.options import Options
from exchange.sources import Source

_POSITIVE = click.FloatRange(min=0, min_open=True)
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Options)}


def _flag(name: str, **more: Any) -> Callable[[Any], Any]:
    """An option whose default is the one of `Options`."""
    field = name.partition("/")[0].lstrip("-").replace("-", "_")
    return click.option(name, default=_DEFAULTS[field], **more)


def _loopback(context: click.Context, option: click.Parameter, value: str) -> str:
    try:
        inside = value == "localhost" or ipaddress.ip_address(value).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise click.BadParameter(f"expected a loopback address, found {value!r}")
    return value


def _iso(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"expected ISO time like 2026-01-31T12:00, found {value!r}"
        ) from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@_flag("--host", callback=_loopback, help="Loopback address to bind.")
@_flag("--port", type=click.IntRange(0, 65535), help="0 takes a free port.")
@_flag(
    "--port-file",
    type=click.Path(path_type=Path),
    help="Also write the start line here.",
)
@_flag(
    "--book",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of orders, money, and clock; the log is beside it.",
)
@_flag("--speed", type=_POSITIVE, help="Market seconds in one real second.")
@_flag(
    "--start",
    callback=_iso,
    help="Market start (ISO, UTC); default now, or in the files.",
)
@_flag("--symbols", help="A count, or names: BTCUSDT,ETHUSDT.  [default: five]")
@_flag("--seed", type=click.IntRange(min=0), help="Of the generated prices.")
@_flag(
    "--replay",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Candle file (CSV, CSV.gz, Parquet) instead of generated prices; repeatable.",
)
@_flag("--loop", is_flag=True, help="Begin the replay again when it ends.")
@_flag("--live", type=click.Choice(["bybit"]), help="Real prices of a venue, at speed 1.")
@_flag("--live-rest", help="REST address for --live.")
@_flag("--live-stream", help="Stream address for --live.")
@_flag("--key", help="API key to accept.")
@_flag("--secret", help="Its secret.")
@_flag(
    "--api-key",
    multiple=True,
    help="One more key, or other rights for the first, as JSON: key, secret, and as needed trade,"
    " withdraw, read_only, expires_ms (market), ips; repeatable.",
)
@_flag("--dcp/--no-dcp", help="Whether the account may use disconnect protection.")
@_flag("--wallet", help="USDT in a new book.")
@_flag("--spread-bps", type=click.FloatRange(0, 1000), help="Ask above bid.")
@_flag(
    "--impact-bps",
    type=click.FloatRange(0, 1000),
    help="Deepest level's extra.",
)
@_flag("--liquidity", type=_POSITIVE, help="USDT a side in each second.")
@_flag(
    "--fee-tier",
    type=click.Choice([tier.name for tier in TIERS]),
    help="Tier to pay by, instead of the one that 30 days of volume open.",
)
@_flag("--no-rate-limit", is_flag=True, help="Never answer 10006 or 403.")
@_flag(
    "--idle-exit",
    type=click.FloatRange(min=0),
    help="Exit after so many real seconds without a client; 0 never.",
)
@_flag("--fault", multiple=True, help="A fault to arm at start, as JSON; repeatable.")
def main(**flags: object) -> None:
    """A simulated exchange on loopback that speaks Bybit V5, for spot and linear."""
    options = msgspec.convert(flags, Options, strict=False)
    try:
        asyncio.run(serve(options))
    except BadStart as error:
        click.echo(f"exchange: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        click.echo(
            f"exchange: expected to listen and to write its files, found: {error}",
            err=True,
        )
        sys.exit(1)


async def serve(options: Options) -> None:
    """Serves until SIGTERM, SIGINT, POST /control/stop, or --idle-exit."""
    exchange = await open_exchange(options)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, exchange.server.stopping.set)
    try:
        port = await exchange.start(
            lambda runner: web.TCPSite(runner, options.host, options.port), options.idle_exit
        )
        _announce(options, exchange.source, int(port or 0))
        await exchange.finished()
    finally:
        await exchange.stop()


def _announce(options: Options, source: Source, port: int) -> None:
    host = f"[{options.host}]" if ":" in options.host else options.host
    line = json.dumps(
        {
            "event": "listening",
            "url": f"http://{host}:{port}",
            "pid": os.getpid(),
            "speed": options.speed,
            "symbols": list(source.catalogue.symbols),
            "market_ms": source.clock.now_ms(),
            "real_ms": wall_ms(),
        }
    )
    if options.port_file:
        draft = options.port_file.with_name(options.port_file.name + ".new")
        draft.write_text(line + "\n")
        draft.replace(options.port_file)
    print(line, flush=True)


if __name__ == "__main__":
    main(prog_name="python -m exchange")
