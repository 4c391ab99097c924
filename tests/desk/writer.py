"""A second process that writes a told day and stays the writer: it obeys words on stdin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pysqlite3

sys.modules["sqlite3"] = pysqlite3
sys.modules["pandas"] = None  # type: ignore[assignment]
sys.path.insert(0, str(Path(__file__).parents[2]))

from bot.edge.files import Heartbeat  # noqa: E402
from bot.store.lease import Lease  # noqa: E402
from tests.desk.story import tell  # noqa: E402

state = Path(sys.argv[1])
lease = Lease(state, {"pid": os.getpid(), "command": "story"})
story = tell(state)
Heartbeat(Path(f"{state}.heartbeat")).write({"level": "REDUCED"})
print("ready", flush=True)
for word in sys.stdin:
    if word == "minute\n":
        story.minute()
    elif word == "leave\n":
        story.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        print("left", flush=True)
        os._exit(0)
    print("done", flush=True)
