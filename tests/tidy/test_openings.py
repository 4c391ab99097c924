"""Every file opens with a sentence that says what it is."""

import ast
import re
from pathlib import Path

import pytest

from tests.tidy.project import files, modules, text, tree

# Files of data and of other programs: their form has no place for a sentence.
WITHOUT = {".secrets.baseline", "requirements.lock", "LICENSE", "pyproject.toml"}
DATA = {".csv", ".db", ".json", ".jsonl", ".parquet", ".png", ".svg", ".txt", ".patch"}
SENTENCE = re.compile(r"[\w`].*?[.:](\s|$)", re.DOTALL)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_a_module_opens_with_a_sentence(path):
    opening = (ast.get_docstring(tree(path)) or "").partition("\n\n")[0]
    assert SENTENCE.match(opening), f"{path}: expected an opening sentence, found {opening!r}"


@pytest.mark.parametrize(
    "path",
    [p for p in files() if p.suffix not in DATA | {".py"} and p.name not in WITHOUT],
    ids=str,
)
def test_a_file_opens_with_a_sentence(path):
    opening = first_words(path)
    assert SENTENCE.match(opening), f"{path}: expected an opening sentence, found {opening!r}"


def first_words(path: Path) -> str:
    """Return the first comment, or in Markdown the first paragraph that is no heading."""
    if path.suffix == ".md":
        body = re.sub(r"\A---\n.*?\n---\n", "", text(path), flags=re.DOTALL)
        paragraphs = (part.strip() for part in re.split(r"\n\s*\n|(?m:^#.*$)", body))
        return next((part for part in paragraphs if part), "")
    marks = ("#", "--", "//", "/*", "<!--")
    lines = (line for line in text(path).splitlines() if line.strip() and line[:2] != "#!")
    first = next(lines, "")
    return first.lstrip("#-/*<! ") if first.startswith(marks) else ""
