"""Reads a secret from a file that nobody else can read or change, or says why not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SECRET_BYTES_MAX = 64 << 10
ALONE = 0o400
OTHERS = 0o027  # a credential's group bits are the mask of systemd's access list


def secret_in(path: Path, *, handed: bool = False) -> tuple[str, str | None]:
    """Return the secret in a file, and why it was not taken or None.

    A file must be ours with mode 0400; one that systemd handed over may be root's. A symbolic
    link is not followed: what it leads to can be changed by whoever owns the link.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        found = "a symbolic link" if path.is_symlink() else error.strerror
        return "", f"expected a readable file at {path}, found: {found}"
    try:
        why = _why_not_private(os.fstat(handle), path, handed=handed)
        text = "" if why else os.read(handle, SECRET_BYTES_MAX).decode().strip()
    except UnicodeDecodeError:
        return "", f"expected text in {path}, found bytes that are not UTF-8"
    finally:
        os.close(handle)
    return text, why or (None if text else f"expected a secret in {path}, found an empty file")


def _why_not_private(found: os.stat_result, path: Path, *, handed: bool) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return f"expected a plain file at {path}, found something else"
    owners = (os.geteuid(), 0) if handed else (os.geteuid(),)
    if found.st_uid not in owners:
        return f"expected {path} to be ours (uid {owners[0]}), found it owned by {found.st_uid}"
    mode = stat.S_IMODE(found.st_mode)
    if handed and mode & OTHERS:
        return f"expected {path} closed to others and read-only, found mode {mode:04o}"
    if not handed and mode != ALONE:
        return f"expected {path} with mode {ALONE:04o} (chmod 400), found {mode:04o}"
    return None
