"""Touches the machine: free disk space, and systemd's notification socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def free_mb(path: Path) -> int:
    """Return the space that this user may still write on the path's file system, MiB."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize // (1 << 20)


def sd_notify(message: str) -> bool:
    """Tell systemd ``READY=1``, ``WATCHDOG=1``, ``STOPPING=1``, or ``STATUS=…``; False if not under it.

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
