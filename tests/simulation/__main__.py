"""Plays seeds alone: ``python -m tests.simulation [--keep] SEED…`` prints what each came to."""

from __future__ import annotations

import sys

from bot.store.database import only_library

only_library()

from tests.simulation import plays  # noqa: E402


def main() -> int:
    """Play each seed; return 1 if a ledger differed."""
    seeds = [int(word) for word in sys.argv[1:] if word.isdigit()]
    wrong = 0
    for seed in seeds:
        played = plays.play(seed, replayed=True, keep="--keep" in sys.argv)
        print(f"seed {seed}: {played.counts}, head {played.head[:12]}", *played.differences, sep="\n  ")
        wrong += bool(played.differences)
        if played.differences:
            print(played.said, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
