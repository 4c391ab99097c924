"""Tells people: messages through Apprise, which is loaded only if a channel is configured.

Each channel has threads and a time limit of its own, so that none waits for another, and the bot
for none of them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from bot.core.effects import Notify
from bot.core.text import safe_text
from bot.edge.clock import clock_text
from bot.errors import ConfigError, Retryable

TEXT_MAX, SUBJECT_MAX = 3_000, 120
THREADS_MAX = 4
"""Messages of one channel under way at once; one that hangs keeps its thread, and no more."""
FREE_SECONDS = 0.05
REMEMBERED_MAX = 256
_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\*_~`|>#[]()"})
"""What Markdown reads as more than itself."""
_DRAWN = frozenset({"discord", "guilded", "mmost", "revolt", "zulip"})
_SECRET_LENGTH_MIN = 6


class Addresses(Protocol):
    """What a configuration says of the channels."""

    @property
    def urls(self) -> Sequence[str]:
        """Apprise URLs of the first channels."""

    @property
    def critical_urls(self) -> Sequence[str]:
        """Apprise URLs of the second channels."""

    @property
    def timeout_real_seconds(self) -> float:
        """Within which a channel must take a message."""


class Notifier:
    """The channels by name, as ``mailto-1``: the first group, and the second one for criticals."""

    def __init__(
        self, urls: Sequence[str], second: Sequence[str] = (), *, timeout_seconds: float = 10.0
    ) -> None:
        every = [
            Channel(f"{_scheme(url)}-{n}", url, timeout_seconds)
            for n, url in enumerate((*urls, *second), 1)
        ]
        self._channels = {channel.name: channel for channel in every}
        names = tuple(self._channels)
        self.first, self.second = names[: len(urls)], names[len(urls) :]

    @classmethod
    def of(cls, section: Addresses) -> Notifier:
        """Return the notifier of a configuration."""
        return cls(
            section.urls, section.critical_urls, timeout_seconds=section.timeout_real_seconds
        )

    async def open(self) -> None:
        """Load the channels. Raises ConfigError with a sentence for each that Apprise refuses."""
        if self._channels:
            found = await asyncio.to_thread(
                lambda: [channel.why_not_loaded() for channel in self._channels.values()]
            )
            if wrong := [why for why in found if why]:
                raise ConfigError(wrong)

    async def send(self, channel: str, notify: Notify, ref: str, again: bool = False) -> None:
        """Send one message through one channel; an attempt after one that arrived does nothing.

        ``ref`` (the effect's id and the audit head) becomes the footer and tells messages apart.
        Raises Retryable with why it failed, and ConfigError if there is no such channel.
        """
        if channel not in self._channels:
            known = ", ".join(self._channels) or "none"
            raise ConfigError([f"channel: expected one of {known}; found {channel!r}"])
        await self._channels[channel].send(notify, ref, again)

    async def send_all(self, notify: Notify, ref: str) -> dict[str, str]:
        """Send one message through every channel at once; return why each failed, "" if not."""
        failures = await asyncio.gather(*(self.tried(name, notify, ref) for name in self._channels))
        return dict(zip(self._channels, failures, strict=True))

    async def tried(self, channel: str, notify: Notify, ref: str) -> str:
        """Send one message through one channel; return why that failed, or nothing."""
        try:
            await self.send(channel, notify, ref)
        except (Retryable, ConfigError) as error:
            return str(error)
        return ""


class Channel:
    """One address. A message runs in a thread of its own, a few at once, within the time limit."""

    def __init__(self, name: str, url: str, timeout_seconds: float) -> None:
        self.name, self._url, self._timeout = name, url, timeout_seconds
        self._plugin: Any = None
        self._threads: list[threading.Thread] = []
        self._taken: OrderedDict[str, None] = OrderedDict()

    def why_not_loaded(self) -> str | None:
        """Load Apprise's part; tell why that fails, or None. The address may hold a password."""
        if self._plugin is None:
            self._plugin = _load(self._url, self._timeout)
        return None if self._plugin else f"notify {self.name}: Apprise does not understand it"

    async def send(self, notify: Notify, ref: str, again: bool) -> None:
        """Send one message, unless it arrived before. Raises Retryable with why it failed."""
        if ref in self._taken:
            return  # it arrived after all, later than it was waited for
        try:
            async with asyncio.timeout(self._timeout):
                while len(self._alive()) >= THREADS_MAX:  # noqa: ASYNC110 threads know no loop
                    await asyncio.sleep(FREE_SECONDS)
                failure = await asyncio.wrap_future(self._begin(notify, ref, again))
        except TimeoutError:
            raise Retryable(f"{self.name}: no answer within {self._timeout:g} s") from None
        if failure:
            raise Retryable(f"{self.name}: {failure}")

    def _alive(self) -> list[threading.Thread]:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return self._threads

    def _begin(self, notify: Notify, ref: str, again: bool) -> Future[str]:
        """Start a thread; it ends by itself, whoever still waits for it."""
        future: Future[str] = Future()
        future.set_running_or_notify_cancel()  # who stops waiting cancels nothing

        def work() -> None:
            try:
                why = self._why_not_sent(notify, ref, again)
            except BaseException as error:  # noqa: BLE001 whatever a channel does stops nothing
                why = f"{type(error).__name__}: {error}"
            future.set_result(safe_text(self._without_secrets(why)))

        thread = threading.Thread(target=work, name=f"notify-{self.name}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return future

    def _why_not_sent(self, notify: Notify, ref: str, again: bool) -> str:
        """Send it, in a thread; return why it was not taken, or nothing."""
        why = self.why_not_loaded()
        if why:
            return why
        subject, body = _subject(notify), _body(notify, ref, again)
        if _draws_plain_text(self._plugin):
            subject, body = subject.translate(_MARKS), body.translate(_MARKS)
        _said.line = ""
        sent = self._plugin.notify(
            body=body,
            title=subject,
            notify_type=_TYPES[notify.severity],
            body_format="text",
            overflow="split",
        )
        if not sent:
            return _said.line or "not sent"
        self._taken[ref] = None
        while len(self._taken) > REMEMBERED_MAX:
            self._taken.popitem(last=False)
        return ""

    def _without_secrets(self, text: str) -> str:
        """Return a plugin's words without the parts of its address that may be secret."""
        parts = urlsplit(self._url)
        person = parts.netloc.rpartition("@")[0].split(":")
        values = [value for _, value in parse_qsl(parts.query)]
        for part in map(unquote, (*person, *parts.path.split("/"), *values)):
            if len(part) >= _SECRET_LENGTH_MIN:
                text = text.replace(part, "(hidden)")
        return text


# -- the message -----------------------------------------------------------------------------------


def defused(text: str) -> str:
    """Return text from outside so that it calls nobody: neither @everyone, <@id>, nor <!here>."""
    return text.replace("@", "(at)").replace("<!", "< !")


def _subject(notify: Notify) -> str:
    first = notify.text.partition("\n")[0]
    return safe_text(defused(f"bot: {notify.severity}: {first}"), SUBJECT_MAX)


def _body(notify: Notify, ref: str, again: bool) -> str:
    """Return what, why, and the numbers; since when and how often; what to do; the audit head."""
    lines = [safe_text(line, TEXT_MAX) for line in notify.text[:TEXT_MAX].splitlines()]
    lines.append("")
    if notify.since:
        often = f", {notify.count} times" if notify.count > 1 else ""
        lines.append(f"since {clock_text(notify.since)} UTC{often}")
    if notify.key:
        named = f" ({notify.alert})" if notify.alert not in ("", notify.key) else ""
        lines.append(f"alert {safe_text(notify.key)}{named}")
    if notify.severity == "critical" and notify.alert:
        lines.append(f"sent again until: python -m bot alerts ack {notify.alert}")
    if notify.runbook:
        lines.append(f"what to do: docs/alerts.md#{notify.runbook}")
    lines.append(f"{safe_text(ref)} (repeat)" if again else safe_text(ref))
    return defused("\n".join(lines))


# -- Apprise ---------------------------------------------------------------------------------------


_said = threading.local()
"""The last warning of Apprise in each thread: its reason for a message that was not taken."""


class _Ear(logging.Handler):
    """Hears what Apprise says of a failure, each thread its own, and prints nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        _said.line = record.getMessage()


_ear = _Ear(logging.WARNING)


def _scheme(url: str) -> str:
    """Return the kind of an address, which is no secret."""
    kind, is_address, _ = url.partition("://")
    kind = kind if is_address else "channel"  # what is no address may be a secret
    return kind if kind.isalnum() and len(kind) <= 20 else "channel"


def _load(url: str, timeout_seconds: float) -> Any:
    from apprise import Apprise  # 28 MB: only where a channel is configured

    logging.getLogger("apprise").addHandler(_ear)  # once, however often it is asked
    plugin: Any = Apprise.instantiate(url, suppress_exceptions=True)
    if plugin is not None:  # its thread ends when nobody waits for it any more
        plugin.socket_connect_timeout = plugin.socket_read_timeout = timeout_seconds
        plugin.request_rate_per_sec = 0  # it would sleep 5.5 s; storms are core.alerts' business
    return plugin


def _draws_plain_text(plugin: Any) -> bool:
    """Tell whether a service draws Markdown even in plain text; elsewhere Apprise escapes it."""
    named = (plugin.protocol, plugin.secure_protocol)
    kinds = {one for kind in named for one in ([kind] if isinstance(kind, str) else kind or ())}
    return bool(kinds & _DRAWN) and str(plugin.resolve_format("text").value) == "text"
