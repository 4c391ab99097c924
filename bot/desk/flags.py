"""Flags as people see them: what each switches, how it stands, and who changed it until when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from bot.core.flags import FLAGS
from bot.core.settings import Settings, keys, value_of
from bot.desk import views
from bot.store.database import Connection


class FlagStanding(Struct, frozen=True):
    """A flag: now, as configured, and by default. ``until``: market ms; None: for good."""

    name: str
    on: bool
    configured: bool
    default: bool
    by: str
    reason: str
    since: int | None
    until: int | None
    born: str
    expires: str
    meaning: str


class _Begun(Struct):
    """As much of the newest start as is needed here."""

    settings: Settings


def read(connection: Connection) -> list[FlagStanding]:
    """Return every flag as the newest start and the parameters since then leave it."""
    configured = _configured(connection)
    live = {row.key: row for row in views.standings(connection, "parameter") if row.state == "SET"}
    return list(_standing(connection, configured, live))


def _standing(
    connection: Connection, configured: Settings, live: dict[str, views.Standing]
) -> Iterator[FlagStanding]:
    meanings = {key: str(meta.description) for key, _, meta in keys()}
    for name, flag in FLAGS.items():
        default, told = bool(value_of(Settings(), name)), bool(value_of(configured, name))
        row = live.get(name)
        ask = _asked(connection, row) if row else None
        on = ask["args"]["value"] == "true" if ask else told
        yield FlagStanding(
            name=name,
            on=on,
            configured=told,
            default=default,
            by=row.reason.partition(":")[0] if row else "",
            reason=ask["reason"] if ask else "",
            since=row.since if row else None,
            until=row.since + int(ask["args"]["seconds"]) * 1000 if row and ask else None,
            born=flag.born,
            expires=flag.expires,
            meaning=meanings[name],
        )


def _configured(connection: Connection) -> Settings:
    """Return the settings of the newest start, the defaults before the first."""
    row = connection.execute(
        "SELECT body FROM journal WHERE seq = (SELECT seq FROM transition"
        " WHERE machine = 'process' AND trigger = 'Started' ORDER BY id DESC LIMIT 1)"
    ).fetchone()
    return msgspec.json.decode(row[0], type=_Begun).settings if row else Settings()


def _asked(connection: Connection, row: views.Standing) -> dict[str, Any]:
    """Return the command that set a parameter last: its arguments and its reason."""
    found = connection.execute(
        "SELECT j.body FROM journal j JOIN transition t ON t.machine = 'run'"
        " AND t.key = json_extract(j.body, '$.id') AND t.dest = 'APPROVED'"
        " WHERE j.kind = 'Commanded' AND json_extract(j.body, '$.verb') = 'set-parameter'"
        " AND json_extract(j.body, '$.args.name') = ? AND t.seq <="
        "  (SELECT seq FROM transition WHERE machine = 'parameter' AND key = ? AND version = ?)"
        " ORDER BY t.id DESC LIMIT 1",
        (row.key, row.key, row.version),
    ).fetchone()
    return msgspec.json.decode(found[0], type=dict[str, Any])
