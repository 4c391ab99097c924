"""What a person would see: the console on a told day, in a terminal of any size, as text."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

from bot.store.lease import Lease
from console.app import Console
from tests.desk.story import MIDNIGHT

NOW = MIDNIGHT + 700
PID = 4242
SIGNS = {
    "process": "RUNNING",
    "level": "REDUCED",
    "latch": "",
    "why": "",
    "instance": "abc123",
    "epoch": 1,
    "venue": "embedded",
    "account": "",
}
GOLDENS = Path(__file__).parent / "goldens"


class Bot:
    """A bot as the files beside the database tell of it: it holds the lease, and it beats."""

    def __init__(self, state):
        self.state = state
        self.lease = Lease(state, {"pid": PID})
        self.beat()

    def beat(self, ago=0.4, **signs):
        """Give a sign of life so many seconds before now."""
        written = {"pid": PID, "wall_ms": NOW - int(ago * 1000), **SIGNS, **signs}
        Path(f"{self.state}.heartbeat").write_text(json.dumps(written))

    def die(self):
        """Leave the lease, as the kernel does for a dead process."""
        lease, self.lease = self.lease, None
        if lease is not None:
            lease.release()


def text(app):
    """The screen as lines of text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(part.text for part in strip).rstrip() for strip in strips)


def styles(app):
    """Every style on the screen."""
    return [part.style for strip in app.screen._compositor.render_strips() for part in strip]


async def _not_idle(*_: float) -> None:
    """Let others have their turn; Textual's own waits for the whole machine to have nothing to do."""
    await asyncio.sleep(0)


@asynccontextmanager
async def console(state, size=(80, 24), **more):
    """A console without threads: it reads when it is told to, so that nothing depends on time."""
    app = Console(state, now_ms=lambda: NOW, threaded=False, **more)
    with (
        patch("textual.app.wait_for_idle", _not_idle),
        patch("textual.pilot.wait_for_idle", _not_idle),
    ):
        async with app.run_test(size=size) as pilot:
            await drawn(pilot)
            yield app, pilot


async def drawn(pilot):
    """Wait until every message is processed, and what they asked for is drawn."""
    for _ in range(2):
        await pilot.pause()


async def press(pilot, *keys):
    """Press keys one by one."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
    await drawn(pilot)


async def settled(pilot, condition):
    """Wait until something is so, as long as it takes up to ten seconds."""
    for _ in range(1_000):
        await pilot.pause(0.01)
        if condition():
            return
    raise AssertionError(text(pilot.app))


def run(coroutine):
    """Run a test of a console to its end."""
    return asyncio.run(coroutine)


def same_as_golden(name, found):
    """Compare with the golden of a name; GOLDENS=write writes it anew, for a person to look at."""
    path = name if isinstance(name, Path) else GOLDENS / f"{name}.txt"
    if os.environ.get("GOLDENS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{found}\n")
    wanted = path.read_text() if path.exists() else ""
    assert f"{found}\n" == wanted, f"{path} differs: look at it, then GOLDENS=write"
