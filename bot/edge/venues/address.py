"""Opens the ways to a venue: TCP to a host, or a Unix socket for an address ``unix:/path``."""

from __future__ import annotations

from typing import Any

import aiohttp
from websockets.asyncio.client import connect

UNIX = "unix:"


def is_local(address: str) -> bool:
    """Tell whether an address is a socket of this machine's file system."""
    return address.startswith(UNIX)


def http(address: str, connections: int) -> tuple[str, aiohttp.BaseConnector]:
    """Return the base URL of an address and a connector to it. Needs a running loop."""
    if is_local(address):
        path = address.removeprefix(UNIX)
        return "http://localhost", aiohttp.UnixConnector(path, limit=connections)
    connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=30)
    return address.rstrip("/"), connector


class _Dial(connect):
    """A dial that follows no redirect: what it leads to was not configured."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the answer as the error that it is here."""
        return exc


def dial(address: str, path: str, **options: Any) -> connect:
    """Return the dial of a WebSocket; ``async with`` opens and closes it."""
    if is_local(address):
        socket = address.removeprefix(UNIX)
        return _Dial(f"ws://localhost{path}", unix=True, path=socket, proxy=None, **options)
    return _Dial(f"{address.rstrip('/')}{path}", proxy=None, **options)
