"""Touches the machine: free disk space, processes, and systemd's notification socket."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
from pathlib import Path

from bot.errors import ConfigError


def free_mb(path: Path) -> int:
    """Return the space that this user may still write on the path's file system, MiB."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize // (1 << 20)


def rss_mb() -> float:
    """Return this process's memory (resident set), MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def sd_notify(message: str) -> bool:
    """Tell systemd ``READY=1``, ``WATCHDOG=1``, ``STOPPING=1``, ``STATUS=…``; False if not heard.

    A full or vanished socket is no error: the watchdog's own time limit is the answer to it.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as unix:
        try:
            unix.sendto(message.encode(), address)
        except OSError:
            return False
    return True


def group_id(key: str, name: str, *, given: bool = True) -> int:
    """Return the number of the group that ``roles.key`` names, -1 for no name.

    ``given``: this process gives files to it. Raises ConfigError if there is no such group, or if
    files are to be given to it and the process is not in it.
    """
    if not name:
        return -1
    try:
        number = grp.getgrnam(name).gr_gid
    except KeyError:
        found = f"expected a group of this system, found {name!r}"
    else:
        if not given or os.geteuid() == 0 or number in {os.getegid(), *os.getgroups()}:
            return number
        found = f"expected a group that this process is in, found {name!r}"
    raise ConfigError([f"roles.{key}: {found}"])


def boot_id() -> str:
    """Return what tells this boot of the machine from every other; "" where none is told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


async def process_ended(handle: int, seconds: float) -> bool:
    """Wait until the process of a pidfd has ended; False if it still runs after ``seconds``."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)  # the descriptor becomes readable at the end
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
    return True
