"""Places that are cleaned up whatever a test finds."""

import pytest

from tests.faults.places import Place


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path / "p")
    yield made
    made.close()
