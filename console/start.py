"""Opens the console in a terminal, and sees to it that it ends when the terminal does."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

import click

from bot.desk.files import DEFAULT_STATE
from console.app import Console

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_HUNG_UP = 0, 1, 2, 129


def watch_terminal(fd: int) -> None:
    """End the process when its terminal is gone.

    Textual would stay for ever at half a core: its loop waits for a writer that is dead, so nothing
    within the loop can notice (research: textual 8.2.8, its issue 6690). A thread that polls can.
    """

    def watch() -> None:
        poll = select.poll()
        poll.register(fd, 0)
        while True:
            if any(
                what & (select.POLLHUP | select.POLLERR | select.POLLNVAL)
                for _, what in poll.poll()
            ):
                os._exit(EXIT_HUNG_UP)

    threading.Thread(target=watch, name="terminal", daemon=True).start()


def why_no_terminal() -> str | None:
    """Tell why nothing can be drawn here, or None."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "expected a terminal on stdin and stderr"
    encoding = (sys.stderr.encoding or "").lower().replace("-", "")
    if encoding != "utf8":
        return f"expected a terminal that shows UTF-8, found {sys.stderr.encoding}"
    return None


class Terminal(Console):
    """The console in a terminal of its own: it ends cleanly by signals, too."""

    def on_mount(self) -> None:
        """Take the signals that ask for an end; Textual itself would leave the terminal raw."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.exit)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_STATE,
    show_default=True,
    metavar="PATH",
    help="The bot's database.",
)
@click.option("--read-only", is_flag=True, help="Offer nothing that makes the bot do something.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
def console(state: Path, *, read_only: bool, no_mouse: bool) -> int:
    """See what the bot does and why, and have it do what is safe. The database is never written.

    What it needs is a terminal; `python -m bot status` says the same in plain lines. Closing it
    changes nothing: the bot goes on.
    """
    why = why_no_terminal()
    if why is not None:
        click.echo(f"console: {why}; `python -m bot status` needs none", err=True)
        return EXIT_USAGE
    os.umask(0o077)
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    watch_terminal(sys.stdin.fileno())
    app = Terminal(state, read_only=read_only)
    app.run(mouse=not no_mouse)
    return EXIT_OK if app.return_code == 0 else EXIT_FAILED


def main() -> NoReturn:
    """Run the console and leave without waiting for its threads: none of them writes anything."""
    try:
        code = console.main(sys.argv[1:], prog_name="python -m console", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code or EXIT_OK))
