"""Watches the bot from outside: when its heartbeat stops, people are told, then panic acts.

The stages, by how long the bot is silent: WARN, CANCEL (HALT, a hung bot ended, entries cancelled,
stops verified), FLATTEN (positions closed, where that is configured). Each is done once, tried
again until it is verified, and forgotten when the bot beats again. A program of its own with a key
of its own: it never opens the database, and only ``bot.panic`` touches the account.

Silence is measured on the machine's monotonic clock, which the heartbeat carries with the id of
the boot; neither a wall clock that is set nor the file's mtime, which follows it, plays a part. A
heartbeat of another boot, or none that can be read, is silent since the dead-man first saw it so.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bot.config import Deadman
from bot.core.effects import SEVERITIES, Notify
from bot.core.heartbeat import LifeSign, newest
from bot.edge.clock import clock_text, monotonic_ns
from bot.edge.files import Halt, replace_file
from bot.edge.host import boot_id
from bot.edge.notify import Notifier
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.keys import Wanted, warnings_of, why_not_trade
from bot.errors import BotError, LeaseHeld, NotRunning, Retryable
from bot.panic import panic
from bot.store import lease

WHO = "deadman"
_NO_SIGN = "no heartbeat"


class Stage(IntEnum):
    """How far the silence has come."""

    QUIET = 0
    WARN = 1
    CANCEL = 2
    FLATTEN = 3


class Watched(Struct, frozen=True):
    """The files of the bot that is watched, and the dead-man's own ``memory``."""

    state: Path
    heartbeat: Path
    halt: Path
    panic_log: Path
    memory: Path


class Memory(Struct, frozen=True):
    """What one look leaves to the next: the sign it is about, the stage done, what was told.

    ``since_ms`` is the monotonic time of boot ``boot`` at which the sign was first seen.
    """

    seen: str = ""
    boot: str = ""
    since_ms: int = 0
    done: Stage = Stage.QUIET
    told: str = ""


class Report(Struct, frozen=True):
    """What a look found: the stage, real seconds of silence, and whether its work is verified."""

    stage: str
    silent_seconds: float
    verified: bool
    sentence: str
    lines: tuple[str, ...] = ()


class DeadMan:
    """Looks at one bot. ``venue`` makes the client of the account, with the dead-man's own key.

    ``wanted`` is the account that the key should belong to.
    """

    def __init__(
        self,
        watched: Watched,
        limits: Deadman,
        venue: Callable[[], Bybit],
        notifier: Notifier,
        *,
        severity_min: str,
        wanted: Wanted,
    ) -> None:
        self._watched, self._limits, self._venue = watched, limits, venue
        self._notifier, self._severity_min, self._wanted = notifier, severity_min, wanted
        self._memory = _recalled(watched.memory)
        self._kept = self._memory  # as it is in the file

    async def look(self) -> Report:
        """Look once, do what is due, tell people, and return what came of it.

        Raises NotRunning if no bot has ever run here. Nothing else that fails is raised: it is in
        the report, and the next look tries again.
        """
        sign = newest(self._watched.heartbeat.read_bytes)
        if sign is None and not self._watched.state.exists():
            raise NotRunning(f"nothing to watch: no bot has run at {self._watched.state}")
        if sign is not None and sign.why_not_at_rest() is None:
            return await self._at_rest(sign)
        before = self._memory
        silent, measured = self._silence(sign)
        stage = self._stage(silent)
        if stage is Stage.QUIET:
            return await self._quiet(before, silent, measured=measured)
        report = await self._stale(stage, silent, sign)
        self._keep()  # what was done is known even if telling it is cut short
        severity = "warning" if stage is Stage.WARN else "critical"
        key = f"{report.stage} {'verified' if report.verified else 'not verified'}"
        return self._end(await self._told(report, severity, key))

    # -- how long ------------------------------------------------------------------------------

    def _silence(self, sign: LifeSign | None) -> tuple[float, bool]:
        """Return the real seconds of silence and whether the sign itself told them.

        Begins a new memory if this sign is new.
        """
        name = sign.name if sign else _NO_SIGN
        boot, now = boot_id(), monotonic_ns() // 1_000_000
        if self._memory.seen != name:
            self._memory = Memory(seen=name, boot=boot, since_ms=now)
        elif self._memory.boot != boot:
            self._memory = replace(self._memory, boot=boot, since_ms=now)
        measured = sign.silent_seconds(boot, now) if sign else None
        if measured is not None:
            return measured, True
        if self._keep():  # what cannot be remembered counts from the machine's start
            self._memory = replace(self._memory, since_ms=0)
        return (now - self._memory.since_ms) / 1000, False

    def _stage(self, silent: float) -> Stage:
        limits = self._limits
        if limits.flatten_real_seconds and silent >= limits.flatten_real_seconds:
            return Stage.FLATTEN
        if silent >= limits.cancel_real_seconds:
            return Stage.CANCEL
        return Stage.WARN if silent >= limits.warn_real_seconds else Stage.QUIET

    # -- a bot that needs nothing --------------------------------------------------------------

    async def _at_rest(self, sign: LifeSign) -> Report:
        """A clean stop is a person's decision: positions that it left are told of, once."""
        kept = sign.fields.get("positions")
        sentence = f"the bot stopped cleanly at {clock_text(sign.wall_ms)}"
        if not kept:
            self._memory = Memory()
            return self._end(Report(Stage.QUIET.name, 0.0, True, sentence))
        if self._memory.seen != sign.name:
            self._memory = Memory(seen=sign.name)
        sentence += f"; {kept} positions are kept under their stops, and nobody manages them"
        report = Report(Stage.QUIET.name, 0.0, True, sentence)
        return self._end(await self._told(report, "warning", "at rest"))

    async def _quiet(self, before: Memory, silent: float, *, measured: bool) -> Report:
        """A bot that beats, or whose silence is short: forget what was done in an earlier one."""
        heard = f"heartbeat {silent:.1f} s ago" if measured else f"{_NO_SIGN} for {silent:.1f} s"
        report = Report(Stage.QUIET.name, silent, True, heard)
        if before.told and before.seen != self._memory.seen and measured:
            self._memory = before
            report = await self._told(
                replace(report, sentence=f"it beats again: {heard}"), "info", ""
            )
        if measured and not self._memory.told:
            self._memory = Memory()
        return self._end(report)

    # -- a bot that is silent ------------------------------------------------------------------

    async def _stale(self, stage: Stage, silent: float, sign: LifeSign | None) -> Report:
        """Do what the stage asks for, unless that was done and verified before."""
        said = f"silent for {silent:.0f} s: {_why(sign)}"
        if stage is Stage.WARN:
            until = self._limits.cancel_real_seconds
            sentence = f"{said}; entries are cancelled after {until:g} s. {await self._open()}"
            return Report(stage.name, silent, True, sentence)
        if self._memory.done >= stage:
            more = f" {await self._open()}" if self._more_to_come(stage) else ""
            return Report(stage.name, silent, True, f"{said}; done and verified before.{more}")
        lines = await self._act(stage, sign)
        end = msgspec.json.decode(lines[-1])
        verified = end["outcome"] == "done"
        if verified:
            self._memory = replace(self._memory, done=stage)
        did = "; ".join(_deeds(lines)) or "nothing could be done"
        left = "" if verified else f" NOT VERIFIED, it is tried again: {end['detail']}"
        return Report(stage.name, silent, verified, f"{said}. {did}.{left}", tuple(lines))

    def _more_to_come(self, stage: Stage) -> bool:
        return stage is Stage.CANCEL and bool(self._limits.flatten_real_seconds)

    async def _act(self, stage: Stage, sign: LifeSign | None) -> list[str]:
        """Hand over to panic. The reason stays the same however often it is tried."""
        venue = self._venue()
        await venue.open()
        try:
            return await panic(
                venue,
                Halt(self._watched.halt),
                self._watched.panic_log,
                stage is Stage.FLATTEN,
                WHO,
                _why(sign),
                self._hung(sign),
            )
        finally:
            await venue.close()

    def _hung(self, sign: LifeSign | None) -> int | None:
        """Return the process to end: the holder of the lease, if it is the one that fell silent.

        HALT stops what passes the gate from now on, but not a request that is past it: only the
        end of the process makes what is verified stay true. A holder that has not beaten yet is
        booting, or protects without its database, and is left alone.
        """
        if not self._limits.end_hung or sign is None:
            return None
        try:
            holder = lease.holder(self._watched.state)
        except OSError:
            return None
        return sign.pid if holder is not None and holder.get("pid") == sign.pid else None

    async def _open(self) -> str:
        """Say what is open at the venue: it tells a person how much hangs on it."""
        venue = self._venue()
        await venue.open()
        try:
            await venue.sync_clock()
            entries, positions = await venue.open_orders(), await venue.positions()
            doubts = await self._doubts(venue)
        except BotError as error:
            return f"The venue does not tell what is open: {error}."
        finally:
            await venue.close()
        naked = sum(1 for position in positions if position.stop is None)
        without = f", {naked} of them without a stop" if naked else ""
        said = f"Open at the venue: {len(entries)} orders, {len(positions)} positions{without}"
        return f"{said}. {doubts}." if doubts else f"{said}."

    async def _doubts(self, venue: Bybit) -> str:
        """Say what speaks against its own key; it is used all the same: it may yet do something."""
        try:
            why_not = await why_not_trade(venue, self._wanted)
            return "; ".join([*why_not, *await warnings_of(venue, self._wanted)])
        except BotError as error:
            return f"The venue does not tell what its key may do: {error}"

    # -- people and memory ---------------------------------------------------------------------

    async def _told(self, report: Report, severity: str, key: str) -> Report:
        """Tell people once for each ``key``; a failure is in the report, the next look tells."""
        if self._memory.told != key:
            low = SEVERITIES.index(severity) < SEVERITIES.index(self._severity_min)
            try:
                if not low:
                    text = f"dead-man {report.stage}: {report.sentence}"
                    notify = Notify(severity=severity, text=text, runbook=WHO)
                    await self._send(notify, f"{WHO} {self._memory.seen} {key}")
                self._memory = replace(self._memory, told=key)
            except Exception as why:  # noqa: BLE001 whatever a channel does stops nothing
                report = replace(report, sentence=f"{report.sentence} People were not told: {why}")
        return report

    async def _send(self, notify: Notify, ref: str) -> None:
        """Tell everybody there is, once for each ``ref``. Raises Retryable for who was not."""
        failures = [why for why in (await self._notifier.send_all(notify, ref)).values() if why]
        if failures:
            raise Retryable("; ".join(failures))

    def _end(self, report: Report) -> Report:
        why = self._keep()
        return replace(report, sentence=f"{report.sentence} {why}") if why else report

    def _keep(self) -> str:
        """Write the memory down if it changed; return why that failed, or nothing."""
        if self._memory == self._kept:
            return ""
        try:
            replace_file(self._watched.memory, msgspec.json.encode(self._memory))
        except Retryable as error:
            return f"({error}: done again at the next look)"
        self._kept = self._memory
        return ""


def _recalled(path: Path) -> Memory:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except (OSError, msgspec.DecodeError):
        return Memory()


def _why(sign: LifeSign | None) -> str:
    if sign is None:
        return "its heartbeat is missing or cannot be read"
    last = f"the last heartbeat of pid {sign.pid} was at {clock_text(sign.wall_ms)} real time"
    return f"{last}, {sign.why_not_at_rest()}"


def _deeds(lines: list[str]) -> Iterator[str]:
    for line in lines:
        found = msgspec.json.decode(line)
        if found["outcome"] == "done" and found["action"] not in ("end", "reach venue"):
            yield f"{found['action']}: {found['detail']}"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the one dead-man of a folder, by flock on the folder itself: that needs no free disk.

    Raises LeaseHeld if another one is there, NotRunning if there is no such folder.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotRunning(f"nothing to watch: there is no folder {folder}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LeaseHeld(f"another dead-man watches {folder.absolute()} already") from None
        yield
    finally:
        os.close(handle)
