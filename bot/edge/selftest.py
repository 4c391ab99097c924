"""A throw-away process: parses a model's graph and runs its own test; nobody else dies of it.

Reads on stdin the manifest's length (4 bytes), the manifest, and the graph; writes one JSON text:
why the model may not be used, "" if it may.
"""

from __future__ import annotations

import resource
import sys

import msgspec

from bot.errors import Refused
from bot.learn.manifest import Manifest
from bot.learn.scorer import examined

CPU_SECONDS, MEMORY_MB = 30, 2_048


def main() -> None:
    """Test the model on stdin."""
    memory = MEMORY_MB << 20
    for limit, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    told = sys.stdin.buffer.read()
    length = int.from_bytes(told[:4], "big")
    manifest = msgspec.json.decode(told[4 : 4 + length], type=Manifest)
    why = ""
    try:
        examined(manifest, told[4 + length :])
    except Refused as error:
        why = str(error)
    sys.stdout.buffer.write(msgspec.json.encode(why))


if __name__ == "__main__":
    sys.modules["pandas"] = None  # type: ignore[assignment]
    main()
