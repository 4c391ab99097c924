"""Places that are cleaned up whatever a test finds."""

import pytest

from tests.faults.places import Place


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path / "p", {"watch": {"storage_real_seconds": 1.0}})
    yield made
    made.close()
