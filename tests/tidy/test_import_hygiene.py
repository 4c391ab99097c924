"""The trading process loads nothing heavy, nothing that draws, and one SQLite library."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.project import ROOT

FOREIGN = [
    "pandas",
    "sklearn",
    "xgboost",
    "lightgbm",
    "textual",
    "pyarrow",
    "scipy",
    "onnx",
    "onnxruntime",
    "ccxt",
    "pybit",
]

PROBE = """
import json, re, sys
from pathlib import Path
from bot.store.database import only_library; only_library()
import bot.__main__, bot.engine.service
loaded = [name for name in json.loads(sys.argv[1]) if sys.modules.get(name) is not None]
maps = Path("/proc/self/maps").read_text() if Path("/proc/self/maps").exists() else ""
libraries = sorted({path for path in re.findall(r"/\\S+", maps) if re.search(r"sqlite[^/]*[.]so", path)})
print(json.dumps([loaded, libraries]))
"""


@pytest.fixture(scope="module")
def probe():
    for name in ("bot/__main__.py", "bot/engine/service.py"):
        if not (ROOT / name).exists():
            pytest.skip(f"{name} is not there yet, so there is no trading process to look into")
    for name in ("pandas", "sklearn", "xgboost", "lightgbm", "textual", "ccxt", "pybit"):
        assert importlib.util.find_spec(name), f"expected {name} installed: it must be refusable"
    result = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(FOREIGN)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_nothing_heavy_is_loaded(probe):
    assert probe[0] == []


def test_one_sqlite_library_is_loaded(probe):
    if not Path("/proc/self/maps").exists():
        pytest.skip("this system has no /proc/self/maps to read")
    assert len(probe[1]) == 1, probe[1]
