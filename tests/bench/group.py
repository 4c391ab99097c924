"""Figure ``group``: syncs for 20 waiting events, and how much faster they are in one transaction."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, say
from tests.bench.rig import folder

SPEED, DEAR = 8.0, 10.0
SLOW_SYNC_US = 4_000


def measure(rounds: int = 40) -> list[Figure]:
    """Return the figures on this disk, and on one whose sync takes 4 ms more."""
    with folder() as where:
        library = compiled(where)
        say("group: 20 waiting events in one turn, and in one turn each")
        here = in_child(library, rounds)
        found = [syncs(here), speed("group.speed", here, "on this disk")]
        if library:
            say(f"group: the same with each sync {SLOW_SYNC_US / 1000:g} ms slower")
            slow = in_child(library, max(5, rounds // 4), SLOW_SYNC_US)
            found.append(
                speed("group.speed.slow", slow, f"each sync made {SLOW_SYNC_US / 1000:g} ms slower")
            )
    return found


def compiled(where: Path) -> Path | None:
    """Return the counter as a library, None without a C compiler."""
    cc = shutil.which("cc")
    if cc is None:
        say("group: no C compiler: COMMITs are counted in place of syncs")
        return None
    library = where / "syncs.so"
    source = Path(__file__).with_name("syncs.c")
    subprocess.run([cc, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def in_child(library: Path | None, rounds: int, delay_us: int = 0) -> dict[str, Any]:
    """Measure in a process of its own, under the counter if there is one."""
    environ = {**os.environ, "BENCH_ROUNDS": str(rounds)}
    if library:
        environ["LD_PRELOAD"] = str(library)
    if delay_us:
        environ["SYNC_DELAY_US"] = str(delay_us)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.waiting"],
        env=environ,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def syncs(found: dict[str, Any]) -> Figure:
    """Judge the number of syncs."""
    what = "fsync and fdatasync, LD_PRELOAD" if found["real"] else "COMMITs: no C compiler here"
    how = f"most in any turn of 20 waiting events ({what}); one turn each takes {found['syncs_single']:.0f}"
    return Figure("group.syncs", found["syncs"], "", 1, how)


def speed(name: str, found: dict[str, Any], where: str) -> Figure:
    """Judge the speed, where a sync is dear enough for grouping to matter."""
    times = found["sync_us"] / found["row_us"]
    cheap = f"a sync costs {times:.1f} × an event's CPU here, asked from {DEAR:g} ×"
    single, group = found["single_us"] / 1e3, found["group_us"] / 1e3
    costs = (
        f"a sync {found['sync_us']:.0f} µs, an event's CPU in the group {found['row_us']:.0f} µs"
    )
    return Figure(
        name,
        single / group,
        "×",
        SPEED,
        f"20 events of one transition, one turn each against one turn for all, {where}",
        at_least=True,
        unless="" if times >= DEAR else cheap,
        note=[f"one turn each {single:.2f} ms, one turn {group:.2f} ms; {costs}"],
    )
