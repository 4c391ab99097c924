"""docs/healing.md names every remedy as it is declared; its example is run in tests/faults."""

from pathlib import Path

from bot.engine.healing import treatments

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "healing.md").read_text()


def row(remedy) -> str:
    cool = f"{remedy.cool_real_seconds / 60:g} min"
    cells = (
        *(remedy.name, remedy.meaning, ", ".join(remedy.checks), remedy.risk, str(remedy.attempts)),
        *(cool, remedy.backs_up, remedy.verified),
    )
    return f"| {' | '.join(cells)} |"


def test_every_remedy_has_its_row_and_no_other():
    rows = [line for line in TEXT.splitlines() if line.count("|") == 9][2:]
    assert rows == [row(treatment.remedy) for treatment in treatments().values()]


def test_every_remedy_has_a_test_that_cures_and_one_in_which_it_does_not():
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in TEXT.partition("## Proof")[2].splitlines()
        if line.count("`test_") == 2
    ]
    assert [name for name, *_ in rows] == list(treatments())
    for name, file, *tests in rows:
        source = (ROOT / "tests" / "faults" / f"test_healing_{file}.py").read_text()
        assert f'"{name}"' in source, name
        for test in tests:
            assert f"def {test.strip('`')}(" in source, test


def test_the_readme_leads_there():
    assert "docs/healing.md" in (ROOT / "README.md").read_text()
