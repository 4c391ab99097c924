"""Touches the files of models: a folder ``models/<id>/`` each, written once.

It holds ``manifest.json`` and ``model.onnx``, appears whole or not at all (written aside, synced,
renamed), and is never changed. Files are hashed before anything parses them, and parsed first by a
process that may die of it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import msgspec

from bot.core.settings import Strategy
from bot.core.text import safe_text
from bot.edge.host import free_mb
from bot.errors import Refused, Retryable
from bot.learn.manifest import Manifest, model_id, opened, why_not_used

MANIFEST, GRAPH = "manifest.json", "model.onnx"
MANIFEST_BYTES_MAX, GRAPH_BYTES_MAX = 1 << 20, 64 << 20
_ID = re.compile(r"[0-9a-f]{64}")
_ROOT = Path(__file__).parents[2]


def folder_of(state: Path) -> Path:
    """Return the folder that holds the models of a database."""
    return state.absolute().parent / "models"


def publish(models: Path, manifest: bytes, graph: bytes, free: int) -> str:
    """Write a model's folder; return its id. Raises Refused if under ``free`` MiB are left."""
    models.mkdir(parents=True, exist_ok=True)
    found = free_mb(models)
    if found < free:
        raise Refused(f"expected {free} MiB of free disk space for a model, found {found}")
    model = model_id(manifest)
    aside = models / f".new-{model[:12]}-{os.getpid()}"
    try:
        aside.mkdir(mode=0o750)
        for name, body in ((MANIFEST, manifest), (GRAPH, graph)):
            _write(aside / name, body)
        _sync(aside)
        aside.chmod(0o550)
        aside.rename(models / model)
        _sync(models)
    except OSError as error:
        _remove(aside)
        raise Retryable(f"cannot write {models / model}: {error.strerror}") from error
    return model


def _write(path: Path, body: bytes) -> None:
    with path.open("xb") as file:
        file.write(body)
        file.flush()
        os.fchmod(file.fileno(), 0o440)
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def discard(models: Path, model: str) -> None:
    """Delete a model's folder; one that is gone is no error. Raises Retryable."""
    if not _ID.fullmatch(model):
        return
    gone = models / f".gone-{model}"
    try:
        if (models / model).exists():
            (models / model).rename(gone)
        _remove(gone)
    except OSError as error:
        raise Retryable(f"cannot remove {models / model}: {error.strerror}") from error


def sweep(models: Path, pid: int) -> None:
    """Remove what a trainer that died left half written."""
    for left in models.glob(f".new-*-{pid}"):
        _remove(left)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        folder.chmod(0o750)
        shutil.rmtree(folder)


def read(models: Path, model: str, strategy: Strategy) -> tuple[Manifest, bytes, bytes]:
    """Return manifest, its bytes, and the graph's, hashed and fit for this strategy.

    Nothing has parsed the graph yet. Raises Refused with what is wrong.
    """
    if not _ID.fullmatch(model):
        raise Refused(f"expected an id of 64 hexadecimal digits, found {safe_text(model)!r}")
    body = _bytes(models / model / MANIFEST, MANIFEST_BYTES_MAX)
    graph = _bytes(models / model / GRAPH, GRAPH_BYTES_MAX)
    manifest = opened(model, body, graph)
    why = why_not_used(manifest, strategy)
    if why:
        raise Refused(why)
    return manifest, body, graph


def _bytes(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(most + 1)
    except OSError as error:
        raise Refused(f"{path.name} cannot be read: {error.strerror}") from error
    if len(found) > most:
        raise Refused(f"{path.name}: expected at most {most} bytes, found more")
    return found


async def verify(
    models: Path, model: str, strategy: Strategy, seconds: float
) -> tuple[Manifest, bytes, bytes]:
    """Return what ``read`` does once the graph passed its own test in a process of its own.

    Raises Refused: the files are missing, damaged, or for something else; or that process failed,
    died, or took longer than ``seconds`` (real).
    """
    manifest, body, graph = await asyncio.to_thread(read, models, model, strategy)
    await _self_test(body, graph, seconds)
    return manifest, body, graph


async def _self_test(body: bytes, graph: bytes, seconds: float) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.edge.selftest",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=_ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await child.communicate(len(body).to_bytes(4, "big") + body + graph)
    except TimeoutError:
        raise Refused(f"its own test did not end within {seconds:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    why = _verdict(child.returncode or 0, said)
    if why:
        raise Refused(why)


def _verdict(code: int, said: bytes) -> str | None:
    """Tell why a self-test does not count as passed, or None."""
    if code < 0:
        return f"its own test was ended by signal {-code}"
    try:
        why = msgspec.json.decode(said, type=str)
    except msgspec.MsgspecError:
        return f"its own test ended with {code} and no verdict"
    return safe_text(why, 500) or None
