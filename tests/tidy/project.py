"""The files of the project as git sees them: tracked, or new and not ignored."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("bot", "console", "exchange", "migrations")


@cache
def files() -> tuple[Path, ...]:
    """Return every file, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = (Path(name) for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if (ROOT / path).is_file()))


def modules(*folders: str) -> list[Path]:
    """Return the Python files, of all the project or of some top folders."""
    return [p for p in files() if p.suffix == ".py" and (not folders or p.parts[0] in folders)]


@cache
def tree(path: Path) -> ast.Module:
    """Return a module parsed."""
    return ast.parse(text(path))


@cache
def text(path: Path) -> str:
    """Return a file's text; bytes that are not UTF-8 are replaced."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")
