"""A console in a terminal of its own: a pty whose other side the test holds."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

from tests import nursery

ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;?<>=$]*[ -/]*[@-~]|[()][0-9A-Z]|[=>78cM]|\].*?(?:\x07|\x1b\\))"
)


class Terminal:
    """Starts ``python -m console`` in a pty; ``raw`` is all that it ever wrote there."""

    def __init__(self, folder, *args, size=(80, 24)):
        self.ours, theirs = pty.openpty()
        width, height = size
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.modes = termios.tcgetattr(theirs)
        self.raw = b""
        env = {"TERM": "xterm-256color", "COLUMNS": "", "LINES": ""}
        self.process = nursery.start(
            "console", *args, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs
        )
        self._theirs = theirs

    def read(self, seconds=0.05):
        """Read what was written, for so long at most."""
        while select.select([self.ours], [], [], seconds)[0]:
            try:
                part = os.read(self.ours, 65_536)
            except OSError:
                return
            self.raw += part
            seconds = 0

    def type(self, text):
        """Press keys."""
        os.write(self.ours, text.encode())

    def until(self, *words, since=0, seconds=30):
        """Read until all words were written after a place; return the place that follows."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read()
            seen = ESCAPES.sub(" ", self.raw[since:].decode("utf-8", "replace"))
            if all(word in seen for word in words):
                return len(self.raw)
            if self.process.poll() is not None and not select.select([self.ours], [], [], 0)[0]:
                break
        raise AssertionError(f"expected {words}, found {seen[-3_000:]}")

    def restored(self):
        """Whether the terminal is as it was: its modes, no alternate screen, no mouse reports."""
        self.read(0.2)
        left = [b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?25h"]
        return all(self.raw.rfind(one) > self.raw.rfind(one[:-1] + b"h") or one.endswith(b"h")
                   for one in left) and termios.tcgetattr(self._theirs)[3] == self.modes[3]  # fmt: skip

    def hang_up(self):
        """Close both sides, as a lost connection does."""
        os.close(self._theirs)
        os.close(self.ours)
        self._theirs = self.ours = -1

    def close(self):
        """End what still runs."""
        self.process.kill()
        self.process.wait(10)
        for file in (self.ours, self._theirs):
            if file >= 0:
                os.close(file)
