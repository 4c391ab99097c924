"""The lease: the process that holds it is the one writer of a database.

It is an flock on a file of its own, beside the database: flock is released by the kernel when the
process ends, however it ends. Children are exec'd with the descriptor closed, never forked with it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

from bot.errors import LeaseHeld

ATTEMPTS, PAUSE_SECONDS = 10, 0.02


def lease_path(state: Path) -> Path:
    """Return the lease's file for a database."""
    return Path(f"{state}.lease")


def holder(state: Path) -> dict[str, object] | None:
    """Return what the present holder says of itself, or None if the lease is free."""
    path = lease_path(state)
    if not path.exists():
        return None
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(file.fileno())
    return None


class Lease:
    """Held from construction until ``release`` or the end of the process. Raises LeaseHeld."""

    def __init__(self, state: Path, who: dict[str, object]) -> None:
        self.path = lease_path(state)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if not _locked(self._fd):
            held_by = _read(self._fd)
            os.close(self._fd)
            named = ", ".join(f"{key} {value}" for key, value in held_by.items())
            raise LeaseHeld(f"{state} is in use: its lease is held by {named or 'another process'}")
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(who).encode(), 0)

    def release(self) -> None:
        """Give the lease back."""
        os.close(self._fd)


def _locked(fd: int) -> bool:
    """Lock for writing; someone who only looks holds it for an instant, so try for a moment."""
    for _ in range(ATTEMPTS):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False


def _read(fd: int) -> dict[str, object]:
    try:
        found = json.loads(os.pread(fd, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
