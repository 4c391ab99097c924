"""Touches the small files beside the database: heartbeat, HALT, and panic.jsonl."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bot.core.text import safe_text
from bot.edge.clock import monotonic_ns, wall_ms
from bot.edge.host import boot_id
from bot.errors import Refused, Retryable

HEARTBEAT_BYTES = 2048
HALT_BYTES = 4096
WORDS_MAX = 300
UNREADABLE = "HALT file"


def _padded(fields: Mapping[str, Any], size: int) -> bytes:
    text = msgspec.json.encode(fields)
    if len(text) >= size:
        raise Refused(
            f"expected at most {size - 1} bytes, found {len(text)}: {safe_text(str(fields))}"
        )
    return text.ljust(size - 1) + b"\n"


def _sync_directory(path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


# -- heartbeat -------------------------------------------------------------------------------------


class Heartbeat:
    """A file of fixed size, rewritten in place, so that a full disk cannot stop it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._boot = boot_id()
        self._fd = self._open()

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write the fields, who writes, and when. Raises Retryable; Refused if too long."""
        stamps: dict[str, Any] = {"pid": os.getpid(), "wall_ms": wall_ms()}
        stamps |= {"boot": self._boot, "mono_ms": monotonic_ns() // 1_000_000}
        text = _padded({**stamps, **fields}, HEARTBEAT_BYTES)
        try:
            if not os.fstat(self._fd).st_nlink:  # someone removed it: readers would see nothing
                os.close(self._fd)
                self._fd = self._open()
            os.pwrite(self._fd, text, 0)
        except OSError as error:
            raise Retryable(f"cannot write {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file; it stays, as the last sign of life."""
        os.close(self._fd)


# -- last words ------------------------------------------------------------------------------------


class LastWords:
    """What a process says before it ends in a fault; the next start writes it into the journal."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> str:
        """Return the words, cleaned; "" if there are none or they cannot be read."""
        try:
            return safe_text(self.path.read_bytes().decode(errors="replace"), WORDS_MAX)
        except OSError:
            return ""

    def write(self, words: str) -> None:
        """Leave these words, or none. A disk that refuses is no reason not to end."""
        with contextlib.suppress(OSError):
            if words:
                self.path.write_text(safe_text(words, WORDS_MAX))
            else:
                self.path.unlink(missing_ok=True)


# -- HALT ------------------------------------------------------------------------------------------


class _Mark(msgspec.Struct, frozen=True):
    halt: bool
    who: str = ""
    reason: str = ""
    wall_ms: int = 0


HALT_CLEAR = _padded({"halt": False}, HALT_BYTES)


class Halt:
    """The mark that means reduce-only. What cannot be read counts as set.

    The file is written whole when it is created and rewritten in place after that, so that it can
    be set on a full disk. It is group-writable: whoever may stop the bot may set it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def create(self) -> None:
        """Make the file if there is none; one that exists is left as it is. Raises Retryable."""
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self._write_whole(fresh, HALT_CLEAR)
            try:
                os.link(fresh, self.path)
            except FileExistsError:
                return
            finally:
                fresh.unlink()
            _sync_directory(self.path)
        except OSError as error:
            raise Retryable(f"cannot create {self.path}: {error.strerror}") from error

    def share(self, group: int) -> None:
        """Let the members of a group set the mark, and no other group. Raises Retryable."""
        try:
            if self.path.stat().st_gid != group:
                os.chown(self.path, -1, group)
        except FileNotFoundError:
            return  # a mark that is missing counts as set
        except OSError as error:
            raise Retryable(f"cannot share {self.path}: {error.strerror}") from error

    def is_set(self) -> tuple[str, str] | None:
        """Return ``(who, reason)`` if the mark is set, missing, or unreadable; else None."""
        try:
            body = self._read()
        except OSError as error:
            return UNREADABLE, f"{self.path.name} cannot be read: {error.strerror}"
        if body == HALT_CLEAR:
            return None
        if len(body) != HALT_BYTES:
            return UNREADABLE, f"{self.path.name}: expected {HALT_BYTES} bytes, found {len(body)}"
        try:
            mark = msgspec.json.decode(body, type=_Mark)
        except msgspec.DecodeError as error:
            return UNREADABLE, f"{self.path.name} cannot be understood: {error}"
        return (safe_text(mark.who, 80), safe_text(mark.reason)) if mark.halt else None

    def set(self, who: str, reason: str) -> None:
        """Set the mark and sync it. Raises Retryable if the file cannot be written."""
        mark = _Mark(True, safe_text(who, 80), safe_text(reason), wall_ms())
        self._rewrite(_padded(msgspec.structs.asdict(mark), HALT_BYTES))

    def clear(self) -> None:
        """Clear the mark and sync it: only after a committed re-arm. Raises Retryable."""
        self._rewrite(HALT_CLEAR)

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _read(self) -> bytes:
        """Read the file that has the name now, which may no longer be the one kept open."""
        named = self.path.stat()
        if self._fd is not None:
            kept = os.fstat(self._fd)
            if (kept.st_dev, kept.st_ino) != (named.st_dev, named.st_ino):
                self.close()
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._fd, HALT_BYTES + 1, 0)

    def _rewrite(self, body: bytes) -> None:
        try:
            self._write_whole(self.path, body)
        except OSError as error:
            raise Retryable(f"cannot write {self.path}: {error.strerror}") from error

    @staticmethod
    def _write_whole(path: Path, body: bytes) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        try:
            if os.fstat(fd).st_uid == os.geteuid():
                os.fchmod(fd, 0o664)  # whatever the umask
            os.pwrite(fd, body, 0)
            if os.fstat(fd).st_size != len(body):
                os.ftruncate(fd, len(body))
            os.fsync(fd)
        finally:
            os.close(fd)


# -- files that are replaced whole -----------------------------------------------------------------


def replace_file(path: Path, body: bytes, mode: int | None = None) -> None:
    """Put a file in the place of another, whole and synced, or leave that one. Raises Retryable.

    ``mode``: its permissions, None for what the umask leaves.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_directory(path)
    except OSError as error:
        raise Retryable(f"cannot write {path}: {error.strerror}") from error


# -- panic.jsonl -----------------------------------------------------------------------------------


def append_panic_line(path: Path, line: str) -> None:
    """Append one line and sync it. Raises Retryable if the disk refuses."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o664)
        try:
            os.write(fd, line.encode() + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise Retryable(f"cannot write {path}: {error.strerror}") from error


def read_panic_lines(path: Path) -> tuple[str, ...]:
    """Return the lines of the file, cleaned; nothing if there is no file. Raises Retryable."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise Retryable(f"cannot read {path}: {error.strerror}") from error
    return tuple(safe_text(line, 2_000) for line in text.splitlines() if line.strip())


def retire_panic_lines(path: Path) -> tuple[str, ...]:
    """Rename the file to ``….read-<ms>``, once its lines are in the journal; return them.

    What was appended until that moment is among them. Raises Retryable.
    """
    aside = path.with_name(f"{path.name}.read-{wall_ms()}")
    try:
        path.rename(aside)
        _sync_directory(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise Retryable(f"cannot rename {path}: {error.strerror}") from error
    return read_panic_lines(aside)
