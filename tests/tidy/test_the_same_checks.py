"""make check, .ci/run, and pre-commit run the same checks."""

import re
from pathlib import Path

from tests.tidy.project import text

CHECKS = {"format", "lint", "types", "contracts", "secrets"}


def test_the_makefile_has_them():
    assert set(re.findall(r"^check-(\w+):", text(Path("Makefile")), re.MULTILINE)) == CHECKS


def test_ci_runs_them_and_then_the_tests_by_make():
    script = text(Path(".ci/run"))
    assert set(re.search(r"for check in ([\w ]+);", script)[1].split()) == CHECKS
    assert script.rstrip().endswith("make --no-print-directory test")


def test_pre_commit_runs_them_without_network():
    hooks = text(Path(".pre-commit-config.yaml"))
    assert set(re.findall(r"make check-(\w+)", hooks)) == CHECKS
    assert re.findall(r"repo: (\S+)", hooks) == ["local"]
