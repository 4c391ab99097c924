"""The venue edge: which control refused, cash moves, comparisons, and panics as deeds."""

from __future__ import annotations

from typing import Any

TABLES = """
ALTER TABLE refusal ADD COLUMN control TEXT NOT NULL DEFAULT '';

CREATE TABLE cash_move(
  move TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL,
  kind TEXT NOT NULL, symbol TEXT NOT NULL, change TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE comparison(
  id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, depth TEXT NOT NULL,
  wallet TEXT NOT NULL, cash TEXT NOT NULL,
  positions INTEGER NOT NULL, fills INTEGER NOT NULL, moves INTEGER NOT NULL,
  differs TEXT NOT NULL
) STRICT;
"""

VIEWS = """
DROP VIEW why_no_trade;
CREATE VIEW why_no_trade AS
SELECT datetime(at / 1000.0, 'unixepoch') AS at, symbol, side, control, reason, seq FROM refusal;

CREATE VIEW cash_moves AS
SELECT datetime(at / 1000.0, 'unixepoch') AS at, kind, symbol, change, seq FROM cash_move;

CREATE VIEW reconciliations AS
SELECT datetime(at / 1000.0, 'unixepoch') AS at, depth, wallet, cash, positions, fills, moves,
       CASE differs WHEN '' THEN 'equal' ELSE differs END AS verdict, seq
FROM comparison;

DROP VIEW operator_actions;
CREATE VIEW operator_actions AS
SELECT datetime(j.at / 1000.0, 'unixepoch') AS at, datetime(j.wall / 1000.0, 'unixepoch') AS wall,
       json_extract(j.body, '$.operator') AS operator,
       json_extract(j.body, '$.identity') AS identity,
       coalesce(json_extract(j.body, '$.verb'), 'restore') AS verb,
       json_extract(j.body, '$.args') AS args,
       json_extract(j.body, '$.reason') AS reason, coalesce(i.state, 'DONE') AS outcome,
       coalesce(i.reason, json_extract(j.body, '$.backup')) AS why, j.seq
FROM journal j LEFT JOIN instance i ON i.machine = 'run' AND i.key = json_extract(j.body, '$.id')
WHERE j.kind IN ('Commanded', 'Restored')
UNION ALL
SELECT datetime(j.at / 1000.0, 'unixepoch'),
       datetime(json_extract(line.value, '$.wall_ms') / 1000.0, 'unixepoch'),
       json_extract(line.value, '$.who'), 'claimed', 'panic', NULL,
       json_extract(line.value, '$.detail'),
       coalesce(upper((SELECT json_extract(e.value, '$.outcome') FROM json_each(j.body, '$.lines') e
                       WHERE e.key > line.key AND json_extract(e.value, '$.action') = 'end'
                       ORDER BY e.key LIMIT 1)), 'NOT FINISHED'),
       (SELECT json_extract(e.value, '$.detail') FROM json_each(j.body, '$.lines') e
        WHERE e.key > line.key AND json_extract(e.value, '$.action') = 'end'
        ORDER BY e.key LIMIT 1),
       j.seq
FROM journal j, json_each(j.body, '$.lines') line
WHERE j.kind = 'Panicked' AND json_valid(line.value)
  AND json_extract(line.value, '$.action') = 'panic';
"""


def up(db: Any) -> None:
    """Add what the venue edge leaves behind; ``db`` is a ``sqlite_utils.Database``."""
    db.executescript(TABLES + VIEWS)
