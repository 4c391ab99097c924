"""A death at every await point of placing, amending, and cancelling, with the faults of the network."""

from collections import Counter
from dataclasses import asdict

import pytest

from tests.faults import awaits, jobs
from tests.faults.awaitfaults import FAULTS, Target, sample
from tests.faults.mutations import VENUE_MUTATIONS

SEED = 20_261_121
PROGRAM = "tests.faults.awaitserver"
KILLS_A_FOLDER, AT_ONCE = 47, 4  # most of a death is waiting for the order it dies of
SHARE = 7  # one in seven of the pairs; all of them are the soak's
WAYS = {op: {awaits.ways(op).index(way) for way in awaits.real(op)} for op in awaits.OPERATIONS}


def planned(folder, targets, seed=SEED, attempts=1, most=KILLS_A_FOLDER):
    """Return the jobs that let a child die at each target, mixed, at most so many in a folder."""
    folders = -(-len(targets) // most)
    return [
        {
            "folder": str(folder / f"{n}"),
            "targets": [asdict(target) for target in targets[n::folders]],
            "seed": seed + n,
            "attempts": attempts,
        }
        for n in range(folders)
    ]


def run(folder, targets, attempts=1):
    return list(jobs.run_all(planned(folder, targets, SEED, attempts), 900, PROGRAM, AT_ONCE))


def met(results):
    """Return the pairs of an await point and a fault at which a child died."""
    struck = [target for result in results for target in result["struck"]]
    return {(target["operation"], target["way"], target["fault"]) for target in struck}


def lacking(results):
    """Return deaths at the ways on which nothing suspended yet, and under faults that struck none."""
    seen = {(op, way) for result in results for op, way in result["seen"]}
    struck = {fault for _, _, fault in met(results)}
    ways = sorted((op, way) for op in WAYS for way in WAYS[op] if (op, way) not in seen)
    request = next(n for n, way in enumerate(awaits.ways("cancel")) if "request" in way[-1].text)
    return [
        *(Target(op, way, "before", "") for op, way in ways),
        *(Target("cancel", request, "during", fault) for fault in FAULTS if fault not in struck),
    ]


@pytest.mark.timeout(1200)
def test_the_bot_dies_at_every_await_point_under_every_fault_and_converges(tmp_path):
    results = run(tmp_path / "first", sample(SHARE))
    rest = lacking(results)
    results += run(tmp_path / "again", rest, attempts=6) if rest else []
    print(told(results))
    assert not [text for result in results for text in jobs.violations(result)]
    assert not lacking(results), f"seed {SEED}: never met"
    assert not any(way < 0 for result in results for _, way in result["seen"]), "an unknown way"
    counts = jobs.totals(results)
    assert all(counts[name] for name in jobs.AWAIT_COUNTS), counts


def told(results):
    """Return what was done, as text."""
    struck = [target for result in results for target in result["struck"]]
    every = sum(map(len, WAYS.values())) * len(FAULTS)
    missed = sum(result["missed"] for result in results)
    by = Counter(target["operation"] for target in struck)
    counts = jobs.totals(results)
    return (
        f"\n{counts['kills']} kills, {len(struck)} at their await point with their fault ({missed} in"
        f" time elsewhere): {dict(by)}; {sum(map(len, WAYS.values()))} await points, {len(FAULTS)}"
        f" faults (one is none), {len(met(results))} of {every} pairs (all of them: make soak);\n"
        + ", ".join(f"{counts[name]} {name}" for name in jobs.AWAIT_COUNTS)
        + f"; seeds {[result['seed'] for result in results]}"
    )


# -- what the enumeration leaves out ---------------------------------------------------------------


def test_every_reason_why_nothing_suspends_is_about_a_way_that_the_source_has():
    for operation, words in awaits.NEVER:
        about = [
            way
            for op in awaits.OPERATIONS
            if operation in ("", op)
            for way in awaits.ways(op)
            if any(words in str(one) for one in way)
        ]
        assert about, f"{operation} {words}: no such await"


def test_the_ways_are_told_apart_by_name():
    for operation in awaits.OPERATIONS:
        names = [awaits.named(operation, way) for way in awaits.ways(operation)]
        assert len(set(names)) == len(names)


# -- the checker is checked ------------------------------------------------------------------------


def way_to(operation, words):
    """Return the first way of an operation with these words in its name."""
    names = [awaits.named(operation, way) for way in awaits.ways(operation)]
    return next(n for n, name in enumerate(names) if words in name)


REQUEST = "_send > self._session.request"
AT_PLACE = ("place", f"send_order > post > {REQUEST}", "during", "late before")
AT_AMEND = ("amend", f"_rows_of > ask > get > {REQUEST}", "after", "")
AT_NOTHING = ("amend", "asyncio.timeout", "after", "")  # never met: its bot lives for seconds
AT_CANCEL = ("cancel", f"_rows_of > ask > get > {REQUEST}", "after", "")
CASES = {
    "enter without bracket": (AT_NOTHING, 2, "was open without one for"),
    "amend by a new order": (AT_AMEND, 3, "order unknown to the database"),
    "believe a cancel": (AT_CANCEL, 5, "the database has it CANCELED"),
    "lose at once": (AT_PLACE, 4, "the database has it LOST"),
}


@pytest.fixture(scope="module")
def mutants(tmp_path_factory):
    folder = tmp_path_factory.mktemp("awaits")
    planned = []
    for name, ((operation, words, side, fault), count, _) in CASES.items():
        target = asdict(Target(operation, way_to(operation, words), side, fault))
        planned.append(
            {
                "folder": str(folder / name.replace(" ", "-")),
                "targets": [target] * count,
                "seed": 7,
                "mutation": name,
                "config": {"orders": {"naked_real_seconds": 60}},
            }
        )
    return dict(zip(CASES, jobs.run_all(planned, 300, PROGRAM), strict=True))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", CASES)
def test_a_bot_that_breaks_a_promise_of_the_order_path_is_found_out(mutants, name):
    found = mutants[name]["report"]["violations"]
    assert any(CASES[name][2] in text for text in found), (found, mutants[name]["problems"])


def test_every_mutation_of_the_order_path_has_a_case():
    assert set(VENUE_MUTATIONS) == set(CASES)
