"""Functions, modules, and parameter lists stay small; what is larger is listed, and may only shrink."""

import ast
from pathlib import Path

from tests.tidy.project import PRODUCT, modules, text, tree

FUNCTION_LINES, MODULE_LINES, PARAMETERS = 60, 400, 5

# Name → its size when it was listed. Each needs a reason; make an entry smaller, never larger.
LARGER_FUNCTIONS: dict[str, int] = {}
LARGER_MODULES: dict[str, int] = {}
MORE_PARAMETERS: dict[str, int] = {
    "bot/edge/venues/stream.py:__init__": 7,  # called by two functions that name every part
    "bot/panic.py:panic": 7,  # the worst night has one call, and all of it is said there
}


def test_no_function_is_longer_than_a_screen():
    found = excess(function_lines(), FUNCTION_LINES, LARGER_FUNCTIONS)
    assert not found, "\n".join(found)


def test_no_module_is_longer_than_a_sitting():
    found = excess(module_lines(), MODULE_LINES, LARGER_MODULES)
    assert not found, "\n".join(found)


def test_no_function_takes_more_parameters_than_one_remembers():
    found = excess(parameters(), PARAMETERS, MORE_PARAMETERS)
    assert not found, "\n".join(found)


def excess(sizes: dict[str, int], limit: int, listed: dict[str, int]) -> list[str]:
    """Return a sentence for each size over its limit and each entry that is not needed."""
    over = [
        f"{name}: expected at most {listed.get(name, limit)}, found {size}"
        for name, size in sizes.items()
        if size > listed.get(name, limit)
    ]
    stale = [
        f"{name}: expected {sizes.get(name, 0)} in the list, or no entry, found {size}"
        for name, size in listed.items()
        if sizes.get(name, 0) < size
    ]
    return over + stale


def function_lines() -> dict[str, int]:
    found = {}
    for path in modules():
        for name, function in functions(path):
            lines = function.end_lineno - function.lineno + 1
            found[name] = max(lines, found.get(name, 0))  # of methods with one name, the longest
    return found


def module_lines() -> dict[str, int]:
    return {str(path): text(path).count("\n") for path in modules()}


def parameters() -> dict[str, int]:
    """Count positional parameters, without self and cls; keyword-only ones explain themselves."""
    found = {}
    for path in modules(*PRODUCT):
        for name, function in functions(path):
            arguments = [a.arg for a in function.args.posonlyargs + function.args.args]
            count = len([a for a in arguments if a not in ("self", "cls")])
            found[name] = max(count, found.get(name, 0))
    return found


def functions(path: Path):
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{path}:{node.name}", node


def test_the_count_leaves_out_self_and_keyword_only(tmp_path):
    module = tmp_path / "m.py"
    module.write_text("class A:\n    def f(self, a, /, b, *, c): ...\n")
    ((_, function),) = functions(module)
    assert [a.arg for a in function.args.posonlyargs + function.args.args] == ["self", "a", "b"]


def test_an_entry_that_is_no_longer_needed_must_go():
    assert excess({"a": 70}, 60, {"a": 70}) == []
    assert excess({"a": 71}, 60, {"a": 70}) == ["a: expected at most 70, found 71"]
    assert excess({"a": 50}, 60, {"a": 70}) == ["a: expected 50 in the list, or no entry, found 70"]
