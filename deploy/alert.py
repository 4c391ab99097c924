# ruff: noqa: INP001 a script that stands alone
"""Tells people, through Apprise, that a unit has failed: ``alert.py UNIT``.

It imports nothing of the bot, and reads neither its database nor its configuration: any of them may
be what is broken. The URLs are in ``$CREDENTIALS_DIRECTORY/alert_urls``, separated by white space.
What happened is in the ``MONITOR_*`` variables that systemd hands to a unit started by OnFailure=.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

URLS = "alert_urls"


def text(unit: str, said: Mapping[str, str]) -> str:
    """Return what people are told: the unit, the machine, how it ended, and where to look."""
    known = {
        "result": said.get("MONITOR_SERVICE_RESULT"),
        "ended": said.get("MONITOR_EXIT_CODE"),
        "status": said.get("MONITOR_EXIT_STATUS"),
    }
    how = ", ".join(f"{name} {value}" for name, value in known.items() if value)
    return (
        f"{unit} has failed on {socket.gethostname()} ({how or 'how is not known'})."
        f" Positions keep their stops at the venue. Look: journalctl -u {unit} -n 50"
    )


def urls(folder: str) -> list[str]:
    """Return the URLs of the credential, none if there is none."""
    path = Path(folder or "/nonexistent") / URLS
    return path.read_text().split() if path.is_file() else []


def main() -> int:
    """Tell; 0 if every channel took it or there is none, 1 if one did not."""
    unit = sys.argv[1]
    found = urls(os.environ.get("CREDENTIALS_DIRECTORY", ""))
    if not found:
        sys.stderr.write(f"{unit}: nobody is told: there is no credential {URLS}\n")
        return 0
    import apprise

    channels = apprise.Apprise()
    taken = [bool(channels.add(url)) for url in found]
    told = channels.notify(
        text(unit, os.environ), title=f"{unit} has failed", notify_type="failure"
    )
    if not (told and all(taken)):
        sys.stderr.write(f"{unit}: not every one of {len(found)} channels took the alert\n")
    return 0 if told and all(taken) else 1


if __name__ == "__main__":
    sys.exit(main())
