"""A death at every point that the reactor and its effects name, each followed by a recovery."""

import ast
import random
from collections import Counter
from pathlib import Path

from bot.engine.reactor import Point
from tests.faults import jobs
from tests.faults.places import ROOT

SEED = 20_260_602
LATEST = {
    Point.SNAPSHOT: 1,
    Point.ANSWERED: 12,
    Point.SENDING: 12,
    Point.SENT: 12,
    Point.OUTCOME: 12,
}


def test_the_bot_dies_at_every_point_and_recovers(tmp_path):
    chance = random.Random(SEED)
    plan = [(point.value, chance.randint(1, LATEST.get(point, 30))) for point in Point]
    result = jobs.run({"folder": str(tmp_path / "points"), "seed": 7, "plan": plan})
    print(result["reached"], jobs.totals([result]))
    assert not jobs.violations(result), f"seed {SEED}"
    assert result["reached"] == dict(plan), f"seed {SEED}: a point was never hit"
    assert result["kills"] == len(Point)


def test_every_point_is_probed_by_the_source_and_no_other():
    assert probed(ROOT / "bot") == {point.name: 1 for point in Point}


def probed(folder: Path) -> Counter:
    """Return the points that the source passes to a probe, and in how many places."""
    found = Counter()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "probe"):
                continue
            (point,) = node.args
            assert isinstance(point, ast.Attribute), f"{path}:{node.lineno}: expected Point.NAME"
            found[point.attr] += 1
    return found
