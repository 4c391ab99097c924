"""Finds every await point of placing, amending, and cancelling, and sees an effect suspend at each.

Twice, independently: in the source, where every ``await``, ``async with``, and ``async for`` that
an effect can come to is an edge of a graph and each way through it ends at a leaf; and in a child,
where the effect's coroutine is stepped by hand, so that every real suspension is seen and the chain
of frames in ``bot/`` says on which way it is. Nothing of the bot knows of either.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from types import FrameType
from typing import Any

import aiohttp

from bot.core import effects
from bot.engine.effects import Runner
from tests.faults.places import ROOT

FILES = (
    "bot/engine/effects.py",
    "bot/engine/gate.py",
    "bot/edge/venues/send.py",
    "bot/edge/venues/bybit.py",
    "bot/edge/venues/asking.py",
    "bot/edge/venues/rest.py",
)
OPERATIONS = {"place": "Gate.send", "amend": "Runner._amend", "cancel": "Runner._cancel"}
ROOT_FUNCTION = "Runner._run"
KINDS = {effects.Submit: "place", effects.Amend: "amend", effects.Cancel: "cancel"}

NEVER = {
    ("", "asyncio.timeout"): "entering and leaving a timer suspends nothing",
    ("", "self._why_late(request) in Rest.sample"): (
        "a question for the time leaves before all else: it waits only when the whole address has"
        " sent 600 requests in 5 s"
    ),
    ("amend", "asyncio.sleep in Asking.change"): "an amendment opens: it is not sent again",
    ("amend", "self._mend(reply) in Asking.change"): "an amendment opens: it is not sent again",
    ("amend", "self.rest.post(path, body, priority) in Asking.change, again"): (
        "an amendment opens: it is not sent again"
    ),
}
"""Ways that no effect suspends on, by operation ("": all) and a word of the way, and why."""


@dataclass(frozen=True)
class Await:
    """One await of the source. ``calls`` is the function of ours that it waits for, "" at a leaf."""

    function: str
    first: int
    last: int
    text: str
    calls: str

    def __str__(self) -> str:
        return f"{self.text} in {self.function}"


Way = tuple[Await, ...]
CONNECTING, CONNECT = "connecting", aiohttp.BaseConnector.connect.__qualname__
Seen = Callable[[str, Way, str], None]
"""Told of each suspension: the operation, its way, and ``connecting``, ``before``, or ``after``."""


# -- in the source ---------------------------------------------------------------------------------


@cache
def functions() -> dict[str, tuple[Await, ...]]:
    """Return the awaits of every coroutine function in FILES, by its qualified name."""
    found: dict[str, tuple[Await, ...]] = {}
    bodies: dict[str, ast.AsyncFunctionDef] = {}
    for name in FILES:
        tree = ast.parse((ROOT / name).read_text())
        for scope in [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef))]:
            prefix = f"{scope.name}." if isinstance(scope, ast.ClassDef) else ""
            for node in scope.body:
                if isinstance(node, ast.AsyncFunctionDef):
                    bodies[prefix + node.name] = node
    short: dict[str, str] = {}
    for name in bodies:
        short.setdefault(name.rpartition(".")[2], name)
    for name, body in bodies.items():
        found[name] = tuple(_awaits(name, body, short))
    return found


def _awaits(name: str, body: ast.AsyncFunctionDef, short: dict[str, str]) -> Iterator[Await]:
    texts: dict[str, int] = {}
    for node in ast.walk(body):
        for what, first, last in _waits(node):
            callee = what.func if isinstance(what, ast.Call) else what
            called = callee.attr if isinstance(callee, ast.Attribute) else getattr(callee, "id", "")
            calls = short.get(called, "")
            text = ast.unparse(what if calls or not isinstance(what, ast.Call) else callee)
            texts[text] = texts.get(text, 0) + 1
            place = name if texts[text] == 1 else f"{name}, again"
            yield Await(place, first, last, text, calls)


def _waits(node: ast.AST) -> Iterator[tuple[ast.expr, int, int]]:
    """Yield what a node waits for, and on which lines a frame stands that waits for it."""
    if isinstance(node, ast.Await):
        yield node.value, node.lineno, node.end_lineno or node.lineno
    elif isinstance(node, ast.AsyncWith):
        for item in node.items:
            last = item.context_expr.end_lineno or node.lineno
            yield item.context_expr, node.lineno, last
    elif isinstance(node, (ast.AsyncFor, ast.comprehension)) and getattr(node, "is_async", True):
        yield node.iter, node.iter.lineno, node.iter.end_lineno or node.iter.lineno


@cache
def ways(operation: str) -> tuple[Way, ...]:
    """Return every way from an effect's start to a leaf, of one operation."""
    found: list[Way] = []

    def follow(name: str, before: Way) -> None:
        for one in functions()[name]:
            calls = one.calls
            if name == ROOT_FUNCTION and not calls and "_kinds" in one.text:
                calls = OPERATIONS[operation]
            if calls:
                follow(calls, (*before, one))
            else:
                found.append((*before, one))

    follow(ROOT_FUNCTION, ())
    return tuple(found)


def why_never(operation: str, way: Way) -> str | None:
    """Tell why an effect never suspends on this way, or None."""
    for (only, words), reason in NEVER.items():
        if only in ("", operation) and any(words in str(one) for one in way):
            again = words.endswith(", again")
            if again or not any(str(one).endswith(", again") for one in way if words in str(one)):
                return reason
    return None


def real(operation: str) -> list[Way]:
    """Return the ways of an operation that can suspend."""
    return [way for way in ways(operation) if why_never(operation, way) is None]


def named(operation: str, way: Way) -> str:
    """Return a way as text: the functions it goes through, and where it waits at last."""
    functions_ = [one.function.rpartition(".")[2] for one in way[1:]]
    return f"{operation}: {' > '.join([*functions_, way[-1].text])}"


# -- in a child ------------------------------------------------------------------------------------


def watch(seen: Seen) -> None:
    """Step every placing, amending, and cancelling of this process by hand."""
    run = Runner._run

    def stepped(self: Runner, dispatch: Any) -> Any:
        operation = KINDS.get(type(dispatch.effect))
        coroutine = run(self, dispatch)
        return coroutine if operation is None else _step(coroutine, operation, seen)

    Runner._run = stepped  # type: ignore[assignment,method-assign]


async def _step(coroutine: Any, operation: str, seen: Seen) -> Any:
    return await _Steps(coroutine, operation, seen)


_driven: list[str] = []


def driven() -> str:
    """Return the operation whose effect runs at this instant, or ""."""
    return _driven[-1] if _driven else ""


class _Steps:
    """Drives a coroutine with ``send`` and ``throw``, as an event loop does."""

    def __init__(self, coroutine: Any, operation: str, seen: Seen) -> None:
        self.coroutine, self.operation, self.seen = coroutine, operation, seen

    def __await__(self) -> Generator[Any, Any, Any]:
        value: Any = None
        raised: BaseException | None = None
        while True:
            _driven.append(self.operation)
            try:
                waits_for = (
                    self.coroutine.send(value) if raised is None else self.coroutine.throw(raised)
                )
            except StopIteration as end:
                return end.value
            finally:
                _driven.pop()
            way = way_of(self.coroutine)
            self.seen(self.operation, way, CONNECTING if connects(self.coroutine) else "before")
            value, raised = None, None
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001 a cancellation is the coroutine's to take
                raised = error
            self.seen(self.operation, way, "after")


def connects(coroutine: Any) -> bool:
    """Tell whether a suspended coroutine waits for a connection: no request can have left yet."""
    return any(frame.f_code.co_qualname == CONNECT for frame in _frames(coroutine))


def way_of(coroutine: Any) -> Way:
    """Return the way on which a suspended coroutine stands, of the frames in FILES."""
    way = []
    for frame in _frames(coroutine):
        path = frame.f_code.co_filename.removeprefix(f"{ROOT}/")
        if path in FILES:
            name = frame.f_code.co_qualname.replace(".<locals>.<listcomp>", "")
            at = [a for a in functions()[name] if a.first <= frame.f_lineno <= a.last]
            way.append(min(at, key=lambda a: a.last - a.first))
    return tuple(dict.fromkeys(way))  # a comprehension stands on the line of its function


def _frames(one: Any) -> Iterator[FrameType]:
    """Yield the frames of a suspended coroutine, the outermost first."""
    while one is not None:
        for prefix, waits in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            if hasattr(one, f"{prefix}_frame"):
                frame = getattr(one, f"{prefix}_frame")
                if frame is not None:
                    yield frame
                one = getattr(one, waits)
                break
        else:  # a wrapper written in C: what it drives is the one thing it refers to that can wait
            waiting = (
                r for r in gc.get_referents(one) if hasattr(r, "cr_frame") or hasattr(r, "ag_frame")
            )
            one = next(waiting, None)
