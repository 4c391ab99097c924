"""The headless process: puts store, reactor, venue, and operator together, and takes them apart.

The composition root. Senses run on the asyncio loop and post events; the reactor's thread commits
them and hands the effects back. It ends through one safe shutdown, whoever asks for it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bot.config import Config, Loaded
from bot.core import flags
from bot.core.events import Event, StopAsked
from bot.edge import artefacts, embedded
from bot.edge.clock import MarketClock, monotonic_ns, today
from bot.edge.commands import Commands, Request
from bot.edge.files import Halt, Heartbeat, LastWords
from bot.edge.host import sd_notify
from bot.edge.notify import Notifier
from bot.edge.roles import Caller, ranks
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.frames import Marks
from bot.engine import boot, lines, link, reserves
from bot.engine.build import build_id
from bot.engine.callers import asked
from bot.engine.effects import Runner
from bot.engine.gate import Gate
from bot.engine.healing import Means
from bot.engine.healing.healer import Healer
from bot.engine.inbox import Inbox
from bot.engine.latch import Latch
from bot.engine.loop import Hooks, Loop
from bot.engine.metrics import Exporter, Sources
from bot.engine.models import Models
from bot.engine.probes import Probes
from bot.engine.protect import protect_only
from bot.engine.reactor import Committed, Probe, no_probe
from bot.engine.screen import summary, voice
from bot.engine.timings import Timings
from bot.engine.venue import Venue, find_venue
from bot.engine.watch import Watch
from bot.engine.watchdog import Part, Watchdog, ask_for_time
from bot.errors import BotError, ChainBroken, ConfigError, Refused, Retryable, StoreBusy, StoreFatal
from bot.store import chain

EXIT_OK, EXIT_RESTART, EXIT_CONFIG = 0, 75, 78


def run(loaded: Loaded, state: Path, seconds: float | None = None, probe: Probe = no_probe) -> int:
    """Run until stopped; return the exit code. Raises LeaseHeld, ConfigError, any BotError."""
    ranks(loaded.config.settings.roles)  # what is wrong is said before anything starts
    if wrong := [*flags.wrong(today())]:
        raise ConfigError(wrong)
    paths = boot.Paths(state)
    try:
        lease = boot.take_lease(paths.state)
    except OSError as error:
        why = f"{paths.folder} cannot be written: {error}"
        return asyncio.run(_protect_only(loaded.config, paths, why))
    try:
        return asyncio.run(_main(loaded, paths, seconds, probe))
    finally:
        del lease  # the kernel frees it with the process: nothing is closed that SQLite still uses


async def _main(loaded: Loaded, paths: boot.Paths, seconds: float | None, probe: Probe) -> int:
    """Boot, or protect what is open if the database cannot be used."""
    where = asyncio.create_task(find_venue(loaded.config, paths.folder))
    try:
        booted = await _opened(loaded.config, paths.state)
    except (StoreBusy, StoreFatal, ChainBroken) as error:
        screen = voice(loaded.config, paths.state)
        return await protect_only(await where, paths, f"state.db cannot be used: {error}", screen)
    service = Service(loaded, paths, booted, await where, probe)
    return await service.serve(seconds)


async def _opened(config: Config, state: Path) -> boot.Booted:
    """Rebuild memory, however long that takes: the service manager is asked for the time."""
    limit = config.watchdog.boot_real_seconds
    asking = asyncio.create_task(ask_for_time(f"BOOT opening {state.name}", limit))
    try:
        return await asyncio.to_thread(boot.open_state, state)
    finally:
        asking.cancel()


async def _protect_only(config: Config, paths: boot.Paths, why: str) -> int:
    where = await find_venue(config, paths.folder)
    return await protect_only(where, paths, why, voice(config, paths.state))


class Service:
    """One run of the bot."""

    def __init__(
        self, loaded: Loaded, paths: boot.Paths, booted: boot.Booted, where: Venue, probe: Probe
    ) -> None:
        self.loaded, self.paths, self.booted, self.where = loaded, paths, booted, where
        settings = loaded.config.settings
        self.clock = MarketClock(booted.world.at or None, jump_ms=settings.feed.clock_jump_ms)
        self.venue = Bybit(
            where.rest_url,
            where.ws_url,
            where.key,
            where.secret,
            clock=self.clock,
            heard=lambda told: self.post(link.heard(told, self.clock.now())),
        )
        self.inbox = Inbox(loaded.config.store.queue_max)
        self.latch, self.halt, self.marks = Latch(), Halt(paths.halt), Marks()
        self.words, self.timings = LastWords(paths.words), Timings()
        self.models = Models(
            artefacts.folder_of(paths.state),
            settings.strategy,
            world=lambda: self.loop.world,
            now=self.clock.now,
        )
        self.reactor = boot.build_reactor(
            booted, settings, self.timings.around(probe), self.models.scorer
        )
        self.heartbeat = Heartbeat(paths.heartbeat)
        self.watchdog = Watchdog(loaded.config.watchdog, told=self._late)
        self.loop = Loop(
            self.reactor,
            self.inbox,
            self.latch,
            Hooks(self._committed, self._beat, self._fatal),
            batch_max=loaded.config.store.batch_max,
            build=build_id(),
        )
        self.screen = voice(loaded.config, paths.state)
        self.notifier = Notifier.of(loaded.config.notify)
        self.probes = Probes(
            self.venue, paths, loaded, post=self.post, loop=self.loop, timings=self.timings
        )
        self.watch = Watch(
            self.venue,
            self.halt,
            self.marks,
            paths,
            pace=loaded.config.watch,
            post=self.post,
            world=lambda: self.loop.world,
            lost=self._files_lost,
        )
        self.link = self._link()
        self.runner = self._runner(probe)
        self.ranks = ranks(settings.roles)
        past = partial(lines.past, paths.state)
        self.commands = Commands(paths.socket, self._command, past, self.ranks)
        self.exit_code: asyncio.Future[int] | None = None
        self.exit_as = EXIT_OK
        self.asyncio_loop = asyncio.get_running_loop()

    def _healer(self) -> Healer:
        """Return what carries remedies out."""
        means = Means(
            venue=self.venue,
            paths=self.paths,
            loaded=self.loaded,
            loop=self.loop,
            link=self.link,
            post=self.post,
            load=self.models.load,
        )
        return Healer(means, self.probes.look)

    def _link(self) -> link.Link:
        """Return what reaches the venue and keeps its streams up."""
        return link.Link(
            self.venue,
            self.where,
            self.loaded.config,
            self.watch,
            say=self.screen.say,
            refused=self._refused,
            tried=lambda: self.watchdog.moved(Part.FEED),
        )

    def _runner(self, probe: Probe) -> Runner:
        """Return what carries effects out."""
        writer = self.booted.writer
        return Runner(
            self.venue,
            Gate(self.venue, self.halt, self.latch, lambda: self.loop.world, self.timings),
            self.notifier,
            post=self.post,
            reference=lambda: f"#{writer.head_id} {chain.short(writer.head)}",
            say=self.screen.say,
            leave=self._leave,
            broken=self._fatal,
            probe=probe,
            carriers={**self.models.carriers(), **self._healer().carriers()},
        )

    # -- life --------------------------------------------------------------------------------------

    async def serve(self, seconds: float | None) -> int:
        """Run every sense until the exit code is known, then leave safely."""
        self.exit_code = self.asyncio_loop.create_future()
        await self.venue.open()
        await self.watch.follow_clock()
        for event in boot.first_events(
            self.booted,
            self.paths,
            self.loaded.config.settings,
            self.loaded.hash,
            self.clock.now(),
            channels=self.notifier.first,
            second=self.notifier.second,
            rate=self.clock.rate,
        ):
            self.post(event)
        if self.ranks.operators >= 0:
            self.halt.share(self.ranks.operators)
        reserves.lay_by(self.loaded, self.paths)
        self._take_process()
        self.loop.start()
        await self.commands.open()
        if seconds is not None:
            self.asyncio_loop.call_later(seconds, self.stop, f"--for {seconds:g}s is over")
        tasks = [asyncio.create_task(sense) for sense in self._senses()]
        loading = asyncio.create_task(self._load_channels())
        for task in tasks:
            task.add_done_callback(self._sense_ended)
        try:
            code = await self.exit_code
        finally:
            for task in (*tasks, loading):
                task.cancel()
            await asyncio.gather(*tasks, loading, return_exceptions=True)
        return await self._shut(code)

    async def _load_channels(self) -> None:
        """Load the channels to people before they are needed; a wrong one stops no trading."""
        try:
            await self.notifier.open()
        except ConfigError as error:
            self.screen.say(str(error))

    def _take_process(self) -> None:
        """Set what belongs to the whole process: its garbage collector and its signals."""
        gc.collect()
        gc.freeze()  # what boot built stays: a full collection would stop the reactor for 10 ms
        gc.set_threshold(20_000, 20, 20)
        self.screen.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.asyncio_loop.add_signal_handler(number, self.stop, number.name)

    def _senses(self) -> Iterator[Coroutine[Any, Any, None]]:
        yield self.link.run()
        yield self.watchdog.follow_loop()
        yield from self.watch.senses()
        yield from self.probes.senses()
        yield self.screen.live(lambda: self.loop.world, lambda: self.latch.reason)
        sources = Sources(
            self.timings, self.loop, self.inbox, self.runner, self.venue.rest.budget, self.screen
        )
        exporter = Exporter(self.loaded.config.metrics, self.paths.state, sources, self.screen.say)
        yield from exporter.senses()

    async def _shut(self, code: int) -> int:
        """Finish what is in flight, write the last snapshot, and say what stands."""
        sd_notify("STOPPING=1")
        await self.commands.close()
        if self.loop.is_alive():
            if self.runner.in_flight:
                await asyncio.wait(self.runner.in_flight, timeout=5)
            self.runner.close()
            await asyncio.to_thread(self.loop.finish)
        await self.venue.close()
        if self.where.child is not None and code == EXIT_OK:
            await self._stop_child(self.where.child)
        if code == EXIT_OK:
            connection, loop = self.booted.writer.connection, self.loop
            self.screen.ended(summary(connection, loop.world, loop.events, loop.turns))
        self.screen.close()
        return code

    async def _stop_child(self, child: embedded.Endpoint) -> None:
        try:
            await embedded.stop(child)
        except BotError as error:
            self.screen.say(f"the embedded exchange did not stop: {error}", "error")

    def stop(self, cause: str) -> None:
        """Ask for the safe shutdown; a second ask changes nothing."""
        self.post(StopAsked(at=self.clock.now(), cause=cause))

    def _leave(self, reason: str) -> None:
        self._end(self.exit_as)

    def _refused(self, why: str) -> None:
        """The key or the account is not the one that may trade: stop, and do not come back."""
        self.screen.say(f"refused: {why}", "critical")
        self.exit_as = EXIT_CONFIG
        self.stop(f"refused: {why}")

    def _end(self, code: int) -> None:
        if self.exit_code is not None and not self.exit_code.done():
            self.exit_code.set_result(code)

    def _sense_ended(self, task: asyncio.Task[None]) -> None:
        """A sense that fails is a fault of the program: end, and let recovery take over."""
        if not task.cancelled() and task.exception() is not None:
            self._fatal(task.exception())

    def _files_lost(self, name: str) -> None:
        self.latch.tighten(f"{name} was removed under the bot: what it commits would be lost")
        self._fatal(StoreFatal(self.latch.reason or name))

    def _fatal(self, error: BaseException | None) -> None:
        """End at once: the outcome of a commit is not known, or the program is broken."""
        if self.latch.reason:
            self._mark_halt(self.latch.reason)
        self.screen.failed(error)
        self.words.write(f"{type(error).__name__}: {error}")
        os._exit(EXIT_RESTART)

    def _late(self, sentences: str) -> None:
        """Say which part stands still, or that none does any more; the next boot may ask why."""
        now = f"late: {sentences}" if sentences else "late no more: every part moves again"
        self.screen.say(now, "warning")
        self.words.write(sentences)

    def _mark_halt(self, reason: str) -> None:
        """A tightening that could not be committed is left as a mark that the next boot reads."""
        try:
            self.halt.set("bot", reason)
        except Retryable as error:
            self.screen.say(f"the HALT mark could not be set: {error}", "critical")

    # -- events and commits ------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Give the reactor an event; from any thread."""
        self.watchdog.heard(event)
        self.inbox.put(event)

    def _committed(self, committed: Committed) -> None:
        """After COMMIT, on the reactor's thread."""
        self.watchdog.moved(Part.COMMIT)
        self.asyncio_loop.call_soon_threadsafe(self._after_commit, committed, monotonic_ns())

    def _after_commit(self, committed: Committed, durable_ns: int) -> None:
        self.timings.intended(committed.dispatches, durable_ns)
        self.runner.start(committed.dispatches)
        self.asyncio_loop.call_soon(self._tell, committed)  # behind the first step of each effect

    def _tell(self, committed: Committed) -> None:
        """Say what moved, and what follows from where the process stands."""
        moved = [lines.of(entry) for entry in committed.entries]
        self.commands.publish(moved)
        self.screen.moved(moved, committed.refusals)
        moves = {entry.step.dest for entry in committed.entries if entry.step.machine == "process"}
        if "BOOT" in moves:
            self.watch.booted = True
            self.words.write("")  # the last process's are in the journal now
        if "RUNNING" in moves:
            sd_notify("READY=1")

    def _beat(self, signs: Mapping[str, Any]) -> None:
        """Each second, on the reactor's thread: only a turning reactor looks alive."""
        try:
            venue = self.loaded.config.venue
            self.heartbeat.write({**signs, "venue": venue.env, "account": venue.account})
        except Retryable as error:
            self.latch.tighten(str(error))
        head = f"#{signs['head_id']} {signs['head']}"
        self.watchdog.beat(self.loop.world, f"{signs['process']} {signs['level']} head {head}")

    # -- operator ----------------------------------------------------------------------------------

    def _command(self, request: Request, caller: Caller) -> str | None:
        """Post what a caller asks or reports; return why not."""
        try:
            self.post(asked(request, caller, self.loop.world, self.clock))
        except Refused as error:
            return str(error)
        return None
