"""The network between bot and exchange: Unix sockets that can be cut, plugged off, and aborted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.simulation.virtual import OWNER, VirtualLoop


class Network:
    """What the bot reaches under ``path``. ``up``: it answers; not ``up``: refused or swallowed."""

    def __init__(self, loop: VirtualLoop, path: str, server_side: Callable[[], list[Any]]) -> None:
        self.loop, self.path, self.server_side = loop, path, server_side
        self.transports: list[tuple[object | None, asyncio.Transport]] = []
        self.refusing = False
        self._whole = asyncio.Event()
        self._whole.set()
        self._connect = loop.create_unix_connection
        loop.create_unix_connection = self.connect  # type: ignore[method-assign]

    @property
    def up(self) -> bool:
        """Whether bytes pass."""
        return self._whole.is_set() and not self.refusing

    async def connect(self, factory: Any, path: Any = None, **more: Any) -> Any:
        """Connect as the network allows; others than the exchange are always reached."""
        owner = OWNER.get()
        if str(path) != self.path or owner is None:
            return await self._connect(factory, path, **more)
        await self._whole.wait()
        if self.refusing or getattr(owner, "dead", False):
            raise ConnectionRefusedError(111, "the network is cut")
        transport, protocol = await self._connect(factory, path, **more)
        self.transports = [(o, t) for o, t in self.transports if not t.is_closing()]
        self.transports.append((owner, transport))
        return transport, protocol

    def refuse(self) -> None:
        """Cut: connections break, new ones are refused."""
        self.refusing = True
        self.abort(None)

    def swallow(self) -> None:
        """Cut the other way: bytes stay where they are until ``mend``; nobody is told."""
        self._whole.clear()
        for transport in self._both_sides():
            transport.pause_reading()

    def mend(self, broken: bool = False) -> None:
        """Let bytes pass again; ``broken``: what was connected before is gone."""
        self.refusing = False
        self._whole.set()
        for transport in self._both_sides():
            if not transport.is_closing():
                transport.resume_reading()
        if broken:
            self.abort(None)

    def abort(self, owner: object | None) -> None:
        """Break the connections of a process, or of all, as the kernel does at its death."""
        for whose, transport in self.transports:
            if owner is None or whose is owner:
                transport.abort()

    def _both_sides(self) -> list[asyncio.Transport]:
        mine = [transport for _, transport in self.transports]
        theirs = [handler.transport for handler in self.server_side()]
        return [t for t in (*mine, *theirs) if t is not None and not t.is_closing()]
