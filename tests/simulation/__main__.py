"""Plays seeds alone: ``python -m tests.simulation SEED…`` prints what each came to.

``--keep`` leaves the folders, ``--sockets`` takes real processes, ``--mutation NAME`` breaks the bot
first, ``--json`` is for programs.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import traceback

import click

from bot.store.database import only_library

only_library()

from tests.simulation import mutations, plays, sockets  # noqa: E402


@click.command()
@click.option("--keep", is_flag=True)
@click.option("--mutation", default="")
@click.option("--json", "as_json", is_flag=True)
@click.option("--sockets", "on_sockets", is_flag=True)
@click.option("--replayed-every", default=1)
@click.argument("seeds", nargs=-1, type=int)
def main(mutation: str, replayed_every: int, seeds: list[int], **flags: bool) -> None:
    """Play each seed; exit 1 if a ledger differed."""
    mutations.apply(mutation)
    os.environ.update(sockets.KEYS)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    differed = False
    for seed in seeds:
        if flags["on_sockets"]:
            played = sockets.play(seed)
        else:
            played = _played(seed, keep=flags["keep"], replayed=seed % replayed_every == 0)
        differed = differed or bool(played.differences)
        if flags["as_json"]:
            print(json.dumps(played._asdict()), flush=True)
            continue
        print(f"seed {seed}: {played.counts}, head {played.head[:12]}")
        for text in played.differences:
            print(f"  {text}")
        if played.differences:
            print(played.said, file=sys.stderr)
    sys.exit(1 if differed else 0)


def _played(seed: int, *, keep: bool, replayed: bool) -> plays.Played:
    with contextlib.redirect_stdout(sys.stderr):
        try:
            return plays.play(seed, replayed=replayed, keep=keep)
        except Exception as error:  # noqa: BLE001 a run that breaks is what was looked for
            text = "".join(traceback.format_exception(error))[-3000:]
            return plays.Played(seed, plays.NOTHING, [f"the run broke: {text}"], "")


if __name__ == "__main__":
    main()
