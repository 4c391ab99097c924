"""Lays by at the start what a bad day needs: a copy of the configuration in use, and ballast.

Neither is worth a start that fails: what cannot be laid by is missing when it is needed, and the
remedy that needs it says so.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from bot.config import Loaded
from bot.edge.files import replace_file
from bot.edge.host import free_mb
from bot.engine.boot import Paths
from bot.errors import Retryable

PRIVATE = 0o600


def lay_by(loaded: Loaded, paths: Paths) -> None:
    """Lay everything by."""
    storage = loaded.config.settings.storage
    with contextlib.suppress(Retryable, OSError):
        if loaded.file is not None:
            replace_file(paths.good, loaded.file.read_bytes(), PRIVATE)
    with contextlib.suppress(OSError):
        _take_space(paths.ballast, storage.ballast_mb, 2 * storage.low_mb)


def _take_space(path: Path, size_mb: int, rest_mb: int) -> None:
    """Take space that can be given back, unless too little would be left. Raises OSError."""
    if not size_mb or path.exists() or free_mb(path.parent) < size_mb + rest_mb:
        return
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    try:
        os.posix_fallocate(fd, 0, size_mb << 20)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(fd)
