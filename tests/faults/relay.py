"""Stands between the bot and the exchange's REST and lets each answer's body come after its head.

``python -m tests.faults.relay HOST PORT PORT_FILE``: what a network that cuts an answer in two
does, so that a reader of bodies has to wait. Bytes are passed on as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

GAP_SECONDS = 0.004
END_OF_HEAD = b"\r\n\r\n"


async def _up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(1 << 16):
        writer.write(part)
        await writer.drain()


async def _down(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(1 << 16):
        head, end, body = part.partition(END_OF_HEAD)
        writer.write(head + end)
        await writer.drain()
        if body:
            await asyncio.sleep(GAP_SECONDS)
            writer.write(body)
            await writer.drain()


async def serve(host: str, port: int, port_file: Path) -> None:
    """Relay until killed."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_writer = None
        with contextlib.suppress(OSError):
            there, there_writer = await asyncio.open_connection(host, port)
            both = (_up(reader, there_writer), _down(there, writer))
            tasks = [asyncio.ensure_future(way) for way in both]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for end in (writer, there_writer):
            if end is not None:
                end.transport.abort()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    draft = port_file.with_suffix(".new")
    draft.write_text(str(server.sockets[0].getsockname()[1]))
    draft.replace(port_file)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
