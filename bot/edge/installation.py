"""Puts the bot into a system: users and groups, folders, units, and what a first start needs.

The texts are the files of ``deploy/``, with the paths of where the code really is. A second
installation changes nothing that is right, and never the content of what a person or the bot owns:
``bot.toml``, ``HALT``. No link is followed: the bot's own folder is written to as root.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bot.edge.files import HALT_CLEAR
from bot.errors import Refused, Retryable

CODE = Path(__file__).absolute().parents[2]
DEPLOY = CODE / "deploy"
WRITTEN_CODE, WRITTEN_PYTHON = "/opt/trading-bot", "/opt/trading-bot/.venv/bin/python"
"""Where the files of ``deploy/`` say that the code is."""

ETC, UNITS, SYSUSERS = (
    Path("/etc/trading-bot"),
    Path("/etc/systemd/system"),
    Path("/etc/sysusers.d"),
)
ACCOUNTS = SYSUSERS / "trading-bot.conf"
CREDENTIALS, STATE = Path("/etc/credstore.encrypted"), Path("/var/lib/trading-bot")
USER, VIEWERS, OPERATORS, ADMINS = "trading-bot", "bot-view", "bot-ops", "bot-admin"
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 what the units cannot see
PLAIN = re.compile(r"[A-Za-z0-9_./+@-]+")
CREATE, UPDATE, KEEP, RUN = "create", "update", "keep", "run"


class Item(Struct, frozen=True):
    """A folder (``body`` None) or a file. What is there of a ``lasting`` file stays as it is."""

    path: Path
    mode: int
    owner: str = "root"
    group: str = "root"
    body: bytes | None = None
    lasting: bool = False


class Step(Struct, frozen=True):
    """One thing that is done, or need not be: ``act`` is create, update, keep, or run."""

    act: str
    what: str
    path: str = ""
    mode: str = ""
    owner: str = ""


class Installation:
    """What is to be in the system below ``prefix``; ``steps`` tells what that takes."""

    def __init__(self, prefix: Path | None = None, code: Path = CODE, python: str = "") -> None:
        self.prefix, self.code = prefix, code
        self.python = python or sys.executable
        self.chowns = os.geteuid() == 0

    # -- what there is to be -----------------------------------------------------------------------

    def items(self) -> Iterator[Item]:
        """Yield folders and files in the order in which they are made, accounts' file first."""
        yield Item(SYSUSERS, 0o755)
        yield Item(ACCOUNTS, 0o644, body=self._text("bot.sysusers"))
        yield Item(UNITS, 0o755)
        for source in sorted(DEPLOY.glob("bot*.service")) + sorted(DEPLOY.glob("bot*.timer")):
            yield Item(UNITS / f"trading-{source.name}", 0o644, body=self._text(source.name))
        yield Item(CREDENTIALS, 0o700)
        yield Item(ETC, 0o750, group=VIEWERS)
        yield Item(
            ETC / "bot.toml", 0o640, group=VIEWERS, body=self._text("bot.toml"), lasting=True
        )
        yield Item(STATE, 0o2750, owner=USER, group=VIEWERS)
        yield Item(STATE / "HALT", 0o664, USER, OPERATORS, body=HALT_CLEAR, lasting=True)

    def _text(self, name: str) -> bytes:
        """Return a file of ``deploy/`` with the paths of this code and this Python."""
        text = (DEPLOY / name).read_text()
        there = self._on_target(self.python), self._on_target(str(self.code))
        for written, found in zip((WRITTEN_PYTHON, WRITTEN_CODE), there, strict=True):
            text = text.replace(written, found)
        return text.encode()

    def _on_target(self, path: str) -> str:
        """Return a path as the installed system will see it: without the prefix."""
        prefix = str(self.prefix.absolute()) if self.prefix else "/"
        return (
            path.removeprefix(prefix) if prefix != "/" and path.startswith(f"{prefix}/") else path
        )

    # -- why not -----------------------------------------------------------------------------------

    def why_not(self) -> list[str]:
        """Return a sentence for each reason not to install."""
        found = [
            f"expected a path of letters, digits, and _./+@-, found {path!r}"
            for path in (str(self.code), self.python)
            if not PLAIN.fullmatch(path)
        ]
        if shutil.which("systemd-sysusers") is None:
            found.append("expected systemd-sysusers, found none: this is for systems with systemd")
        if self.prefix is not None:
            if not self.prefix.is_dir():
                found.append(f"expected a folder at --prefix {self.prefix}, found none")
            return found
        if not self.chowns:
            found.append(f"expected root, found uid {os.geteuid()}: use sudo, or --prefix DIR")
        found += (why for path in self._used() if (why := why_unreachable(path)))
        return found

    def _used(self) -> tuple[Path, ...]:
        return self.code, Path(self.python), Path(self.python).resolve()

    # -- what it takes, and doing it ---------------------------------------------------------------

    def steps(self) -> list[Step]:
        """Return what is done, or need not be, in order. Raises Refused."""
        accounts = Step(RUN if self._accounts_missing() else KEEP, "accounts", str(ACCOUNTS))
        steps = [self._step(item) for item in self.items()]
        steps.insert(2, replace(accounts, owner=f"{USER}, {VIEWERS}, {OPERATORS}, {ADMINS}"))
        if self.prefix is None and Path("/run/systemd/system").is_dir():
            changed = any(s.act != KEEP and s.path.startswith(str(UNITS)) for s in steps)
            steps.append(Step(RUN if changed else KEEP, "systemctl daemon-reload"))
        return steps

    def apply(self) -> list[Step]:
        """Do what ``steps`` says; return it. Raises Refused, or Retryable if a step fails."""
        steps, items = self.steps(), {str(item.path): item for item in self.items()}
        for step in steps:
            if step.act == KEEP:
                continue
            try:
                if step.path in items and step.what != "accounts":
                    self._put(items[step.path])
                elif step.what == "accounts":
                    root = [f"--root={self.prefix.absolute()}"] if self.prefix else []
                    _run(["systemd-sysusers", *root, str(self._at(ACCOUNTS))])
                else:
                    _run(step.what.split())
            except OSError as error:
                raise Retryable(f"cannot {step.act} {step.path or step.what}: {error}") from error
        return steps

    def _at(self, path: Path) -> Path:
        return self.prefix / path.relative_to("/") if self.prefix else path

    def _step(self, item: Item) -> Step:
        what = "folder" if item.body is None else "file"
        told = Step(CREATE, what, str(item.path), f"{item.mode:04o}", f"{item.owner}:{item.group}")
        path = self._at(item.path)
        try:
            found = path.lstat()
        except FileNotFoundError:
            return told
        wanted = stat.S_ISDIR if item.body is None else stat.S_ISREG
        if not wanted(found.st_mode) or (what == "file" and found.st_nlink != 1):
            raise Refused(f"expected a plain {what} at {path}, found something else")
        ids = self._owner(item) if self.chowns else (found.st_uid, found.st_gid)
        right = stat.S_IMODE(found.st_mode) == item.mode and (found.st_uid, found.st_gid) == ids
        if item.body is not None and not item.lasting:
            right = right and path.read_bytes() == item.body
        return replace(told, act=KEEP if right else UPDATE)

    def _put(self, item: Item) -> None:
        path = self._at(item.path)
        if item.body is None:
            path.mkdir(parents=True, exist_ok=True)
        elif not (item.lasting and path.exists()):
            fresh = path.with_name(f"{path.name}.new")
            fresh.unlink(missing_ok=True)
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                os.write(fd, item.body)
                self._own(fd, item)
                os.fsync(fd)
            finally:
                os.close(fd)
            fresh.rename(path)
            return
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            self._own(fd, item)
        finally:
            os.close(fd)

    def _own(self, fd: int, item: Item) -> None:
        """Give an open file or folder its owner, then its mode: a new owner takes setgid away."""
        if self.chowns:
            owner = self._owner(item)
            if owner is None:
                raise Refused(f"expected {item.owner} and {item.group} as accounts, found neither")
            os.fchown(fd, *owner)
        os.fchmod(fd, item.mode)

    # -- accounts ----------------------------------------------------------------------------------

    def _accounts_missing(self) -> bool:
        users, groups = self._numbers("passwd"), self._numbers("group")
        return USER not in users or not {VIEWERS, OPERATORS, ADMINS} <= groups.keys()

    def _owner(self, item: Item) -> tuple[int, int] | None:
        users, groups = self._numbers("passwd"), self._numbers("group")
        if item.owner in users and item.group in groups:
            return users[item.owner], groups[item.group]
        return None

    def _numbers(self, database: str) -> dict[str, int]:
        """Return the numbers of the users or groups of the system below the prefix, by name."""
        found = {"root": 0}
        path = self._at(Path("/etc") / database)
        for line in path.read_text().splitlines() if path.is_file() else ():
            name, _, number = line.split(":")[:3]
            found[name] = int(number)
        return found


def why_unreachable(path: Path) -> str | None:
    """Tell why the services could not read a path, as their own user and in their own view."""
    for folder in HIDDEN:
        if path.is_relative_to(folder):
            return f"expected a path outside of {folder}, which services do not see, found {path}"
    for part in (path, *path.parents):
        try:
            mode = part.stat().st_mode
        except OSError as error:
            return f"expected {path} to be there, found {error.strerror}"
        needed = stat.S_IROTH | stat.S_IXOTH if part == path else stat.S_IXOTH
        if mode & needed != needed:
            found = f"mode {stat.S_IMODE(mode):04o} of {part}"
            return f"expected {path} to be readable by everyone, found {found}"
    return None


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise Retryable(f"{' '.join(command)} ended with {done.returncode}: {said}")
