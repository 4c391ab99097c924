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


def test_the_readme_leads_there():
    assert "docs/healing.md" in (ROOT / "README.md").read_text()
