"""Runs all tests in two processes: `python -m tests.side_by_side`. Deaths and faults wait much, the rest computes.

The rest is shown as it runs; what was apart, once it is done. Every argument goes to both. Exits
with the first code that is not 0.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

APART = ("tests/faults", "tests/systemd", "tests/deadman")
"""Nearly half of the time: real processes that die, hang, and are waited for."""
NOTHING_COLLECTED = 5


def pytest(*args: str, **more: object) -> subprocess.Popen[bytes]:
    """Start pytest."""
    return subprocess.Popen([sys.executable, "-m", "pytest", *args], **more)  # type: ignore[call-overload,no-any-return]


def main(args: list[str]) -> int:
    """Run both halves; return the exit code."""
    ignored = [f"--ignore={path}" for path in APART]
    with tempfile.TemporaryFile() as told:
        apart = pytest(
            *APART, "-o", "cache_dir=.pytest_cache/apart", *args, stdout=told, stderr=told
        )
        rest = pytest("tests", *ignored, *args)
        codes = [rest.wait(), apart.wait()]
        told.seek(0)
        sys.stdout.flush()
        print(f"\n── apart: {' '.join(APART)}", flush=True)
        os.write(1, told.read())
    print(f"the rest ended with {codes[0]}, what was apart with {codes[1]}", flush=True)
    return next((code for code in codes if code not in (0, NOTHING_COLLECTED)), 0)


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    sys.exit(main(sys.argv[1:]))
