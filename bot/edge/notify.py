"""Tells people: messages through Apprise, which is loaded only if a channel is configured."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from bot.core.text import safe_text
from bot.errors import ConfigError, Retryable

TEXT_MAX = 3_000
TIMEOUT_SECONDS = 30.0
REMEMBERED_MAX = 256
_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}
_MENTION = re.compile(r"@(?=(everyone|here|channel)\b)", re.IGNORECASE)


class Notifier:
    """Sends each message to every channel; a repeated attempt skips those that took it."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._channels: list[Any] | None = None
        self._taken: OrderedDict[tuple[str, str, str], set[int]] = OrderedDict()

    async def open(self) -> None:
        """Load the channels. Raises ConfigError with a sentence for each that Apprise refuses."""
        if self._urls and self._channels is None:
            self._channels = await asyncio.to_thread(_load, self._urls)

    async def send(self, severity: str, text: str, ref: str, again: bool) -> str:
        """Send to all channels and return how many took it.

        ``severity`` is info, warning, or critical; ``ref`` (the audit head) becomes the footer.
        Raises Retryable, naming the channels that failed, and ConfigError for a wrong URL.
        """
        if not self._urls:
            return "no channels"
        await self.open()
        taken = self._remembered(severity, text, ref)
        body = _body(text, ref, again)
        failures = []
        for n, channel in enumerate(self._channels or ()):
            if n in taken:
                continue
            failure = await _within_limit(channel, severity, body)
            if failure:
                failures.append(failure)
            else:
                taken.add(n)
        if failures:
            raise Retryable("; ".join(failures))
        return f"{len(taken)} channels"

    def _remembered(self, *message: str) -> set[int]:
        taken = self._taken.setdefault((message[0], message[1], message[2]), set())
        while len(self._taken) > REMEMBERED_MAX:
            self._taken.popitem(last=False)
        return taken


def _body(text: str, ref: str, again: bool) -> str:
    lines = [safe_text(line, TEXT_MAX) for line in text[:TEXT_MAX].splitlines()]
    footer = f"{safe_text(ref)} (repeat)" if again else safe_text(ref)
    return _MENTION.sub("", "\n".join([*lines, "", footer]))


def _load(urls: tuple[str, ...]) -> list[Any]:
    from apprise import Apprise  # 28 MB: only where a channel is configured

    channels = [Apprise.instantiate(url, suppress_exceptions=True) for url in urls]
    wrong = [n for n, channel in enumerate(channels) if channel is None]
    if wrong:  # the URL itself may hold a password: name its place only
        raise ConfigError([f"notify url {n + 1}: Apprise does not understand it" for n in wrong])
    return channels


async def _within_limit(channel: Any, severity: str, body: str) -> str | None:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await asyncio.to_thread(_why_not_sent, channel, severity, body)
    except TimeoutError:
        return f"{channel.service_name}: no answer within {TIMEOUT_SECONDS:g} s"


def _why_not_sent(channel: Any, severity: str, body: str) -> str | None:
    from apprise import LogCapture

    capture: Any = LogCapture  # untyped
    with capture(fmt="%(message)s") as log:
        sent = channel.notify(body=body, title=f"bot: {severity}", notify_type=_TYPES[severity])
        said = log.getvalue().strip().splitlines() if log else []
    return (
        None if sent else f"{channel.service_name}: {safe_text(said[-1] if said else 'not sent')}"
    )
