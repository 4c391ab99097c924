"""Before anything starts: what is wrong with groups and flags is said, and nothing is made."""

import pytest

from bot.config import load
from bot.core import flags
from bot.engine import service
from bot.errors import ConfigError


def test_a_flag_past_its_end_is_an_error_and_nothing_is_made(tmp_path, monkeypatch):
    old = flags.Flag("kill.flatten", "2020-01-01", "2020-12-31")
    monkeypatch.setitem(flags.FLAGS, "kill.flatten", old)
    with pytest.raises(ConfigError, match=r"kill\.flatten: .* 2020-12-31; found 20..-..-..: take"):
        service.run(load(None, {}), tmp_path / "state.db")
    assert list(tmp_path.iterdir()) == []
