"""Says politely that the console is not here yet, and what shows the bot until then."""

from __future__ import annotations

import sys


def main() -> int:
    """Point to the commands that answer the same questions; returns the exit code."""
    sys.stdout.write(
        "The console is not here yet. Until then:\n"
        "  .venv/bin/python -m bot status   what the bot is doing, and why\n"
        "  .venv/bin/python -m bot tail     its transitions as they happen\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
