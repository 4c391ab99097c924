"""Models as people see them: which there are, how good, how old, and where they stand."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from bot.desk.views import market_now
from bot.errors import Refused
from bot.store.database import Connection


class ModelRow(Struct, frozen=True):
    """A model: where it stands and why, what it learnt from (market time), and how good it was."""

    model: str
    state: str
    since: str
    reason: str
    run: str | None
    made: str | None
    trained_from: str | None
    trained_to: str | None
    rows_fit: int | None
    rows_held_out: int | None
    auc: float | None
    log_loss: float | None
    brier: float | None
    skill: float | None
    base_rate: float | None
    build: str | None
    reigns: int


class InUse(Struct, frozen=True):
    """A model that is asked. ``age_seconds``: market time since the newest it learnt from."""

    model: str
    state: str
    age_seconds: float | None
    reason: str


def lineage(connection: Connection) -> list[ModelRow]:
    """Return every model, the newest first."""
    columns = ", ".join(ModelRow.__struct_fields__)
    rows = connection.execute(
        f"SELECT {columns} FROM model_lineage ORDER BY since DESC, model"
    ).fetchall()
    return [ModelRow(*row) for row in rows]


def found(connection: Connection, prefix: str) -> ModelRow:
    """Return the model whose id begins so. Raises Refused if it is none, or more than one."""
    rows = [row for row in lineage(connection) if prefix and row.model.startswith(prefix)]
    if len(rows) == 1:
        return rows[0]
    known = ", ".join(row.model[:12] for row in rows or lineage(connection)) or "none yet"
    raise Refused(f"model: expected the beginning of one id ({known}), found {prefix!r}")


def manifest(connection: Connection, model: str) -> dict[str, Any] | None:
    """Return what a registered model says of itself, None if its files were never verified."""
    row = connection.execute("SELECT manifest FROM model WHERE model = ?", (model,)).fetchone()
    return msgspec.json.decode(row[0], type=dict[str, Any]) if row else None


def in_use(connection: Connection) -> list[InUse]:
    """Return the models that are asked, the champion first; none is a value, too."""
    now = market_now(connection)
    rows = connection.execute(
        "SELECT i.key, i.state, json_extract(m.manifest, '$.trained_to'), i.reason"
        " FROM instance i LEFT JOIN model m ON m.model = i.key"
        " WHERE i.machine = 'model' AND i.state IN ('CHAMPION', 'SHADOW')"
        " ORDER BY i.state, i.since DESC"
    )
    return [
        InUse(model, state, None if to is None else max(0, now - to) / 1000, reason)
        for model, state, to, reason in rows
    ]
