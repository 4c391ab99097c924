"""Starts our programs as forks of a process that imported them: all of a new process but its imports.

A test that needs a bot or an exchange of its own pays for the imports of each, half a second and
more. A nursery imports a program once and forks it as often as it is asked: the fork runs ``-m`` of
the program, from its first line to its exit, with a folder, an environment, files, and signals of
its own. What a test must see of the interpreter's start (which modules load, what the kernel
shows as its command, limits of another user) it starts with ``subprocess`` instead.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, NamedTuple

ROOT = Path(__file__).parents[1]


class Program(NamedTuple):
    """What a nursery imports for a program, and the environment in which its interpreter starts."""

    imports: tuple[str, ...]
    one_library: bool = True  # the only SQLite is the bot's, as its ``__main__`` has it
    env: tuple[tuple[str, str], ...] = ()


PROGRAMS = {
    "bot": Program(("bot.cli.app", "bot.engine.service", "bot.desk.status", "bot.desk.query")),
    "console": Program(("console.start",)),
    "exchange": Program(("exchange.assembly", "click"), one_library=False),
    "tests.simulation": Program(
        ("tests.simulation.sockets", "tests.simulation.mutations"), env=(("PYTHONHASHSEED", "0"),)
    ),
}
MESSAGE_BYTES = 1 << 17
Json = dict[str, Any]
File = int | IO[Any]


class Child:
    """A program that runs: as much of ``subprocess.Popen`` as the tests use."""

    def __init__(self, pid: int, handle: int, ended: int, stdout: IO[str] | None) -> None:
        self.pid, self.stdout = pid, stdout
        self.returncode: int | None = None
        self._handle, self._ended = handle, ended

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code, so many seconds at most. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(int(os.read(self._ended, 16)))
            os.close(self._ended)
            os.close(self._handle)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


class Nursery:
    """A process that imported a program and forks it."""

    def __init__(self, program: str) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.nursery", program]
        single = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}  # a fork has one thread
        env = {**os.environ, **single, **dict(PROGRAMS[program].env)}
        with theirs:
            self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=theirs)

    def fork(self, request: Json, files: list[int]) -> tuple[int, int, int]:
        """Return the id of a new child, a handle of it, and a pipe that will tell how it ended."""
        ended, tell = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._socket, [json.dumps(request).encode()], [*files, tell])
                pid, handles, _, _ = socket.recv_fds(self._socket, 16, 1)
        finally:
            os.close(tell)
        assert pid, "expected a child, found that the nursery has ended"
        return int(pid), handles[0], ended

    def close(self) -> None:
        """End it; what it started goes on."""
        self._socket.close()
        self._process.wait()


@functools.cache
def nursery(program: str) -> Nursery:
    """Return the nursery of a program, which ends with the tests."""
    found = Nursery(program)
    atexit.register(found.close)
    return found


def start(
    program: str,
    *args: str,
    cwd: Path,
    env: dict[str, str] | None = None,
    stdin: File = subprocess.DEVNULL,
    stdout: File | None = None,
    stderr: File | None = None,
) -> Child:
    """Start ``python -m program args`` in a folder. ``subprocess.PIPE`` gives its stdout as text."""
    reader = None
    with contextlib.ExitStack() as ours, Path(os.devnull).open("r+b") as nothing:

        def number(file: File | None, default: int) -> int:
            if file is None or file == subprocess.DEVNULL:
                return default if file is None else nothing.fileno()
            return file if isinstance(file, int) else file.fileno()

        if stdout == subprocess.PIPE:
            read, write = os.pipe()
            ours.callback(os.close, write)
            reader, stdout = os.fdopen(read), write
        files = [number(stdin, 0), number(stdout, 1), number(stderr, 2)]
        request = {"args": args, "cwd": str(cwd), "env": {**os.environ, **(env or {})}}
        return Child(*nursery(program).fork(request, files), reader)


def run(
    program: str, *args: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m program args`` to its end: ``subprocess.run`` that captures text."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = start(program, *args, cwd=cwd, env=env, stdout=out, stderr=err)
        try:
            code = child.wait(timeout)
        finally:
            child.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([program, *args], code, out.read(), err.read())


# -- the nursery itself ----------------------------------------------------------------------------


class _Forked(Exception):
    """This is the child of a request."""


def _serve(control: socket.socket) -> None:
    """Fork for each request, and tell of each end, until the tests are gone."""
    running: dict[int, tuple[int, int]] = {}
    while True:
        ready, _, _ = select.select([control, *running], [], [])
        for handle in set(ready) & set(running):
            pid, tell = running.pop(handle)
            with contextlib.suppress(BrokenPipeError):  # whoever started it is gone
                os.write(tell, b"%d" % os.waitpid(pid, 0)[1])
            os.close(tell)
            os.close(handle)
        if control in ready:
            text, files, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 4)
            if not text:
                return
            pid = os.fork()
            if pid == 0:
                control.detach()
                _become(json.loads(text), files)
                raise _Forked
            for file in files[:3]:
                os.close(file)
            handle = os.pidfd_open(pid)
            running[handle] = (pid, files[3])
            socket.send_fds(control, [b"%d" % pid], [handle])


def _become(request: Json, files: list[int]) -> None:
    """Take over the folder, the environment, and the files that were asked for, and nothing else."""
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    os.closerange(3, 1 << 16)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv[1:] = request["args"]
    sys.path[0] = request["cwd"]
    standard = functools.partial(open, closefd=False)
    sys.stdin = sys.__stdin__ = standard(0)
    sys.stdout = sys.__stdout__ = standard(1, "w", 1 if os.isatty(1) else -1)
    sys.stderr = sys.__stderr__ = standard(2, "w", 1, errors="backslashreplace")


def main(program: str) -> None:
    """Import a program, fork as asked, and in a fork be the program."""
    if PROGRAMS[program].one_library:
        from bot.store.database import only_library

        only_library()
    for name in PROGRAMS[program].imports:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    try:
        _serve(socket.socket(fileno=os.dup(0)))
    except _Forked:
        pass
    except KeyboardInterrupt:
        return
    else:
        return
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1])
