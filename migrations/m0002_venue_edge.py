"""The venue edge: which control refused, cash moves, comparisons, and panics as deeds."""

from __future__ import annotations

from typing import Any

TABLES = """
ALTER TABLE refusal ADD COLUMN control TEXT NOT NULL DEFAULT '';

CREATE INDEX journal_kept ON journal(kind, seq)
WHERE kind IN ('Commanded', 'Restored', 'Panicked', 'Halted');

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
       CASE json_extract(last.value, '$.outcome') WHEN 'done' THEN 'DONE' ELSE 'FAILED' END,
       (SELECT group_concat(json_extract(d.value, '$.action') || ': '
                            || json_extract(d.value, '$.detail'), '; ')
        FROM json_each(j.body, '$.lines') d
        WHERE json_valid(d.value) AND d.key > line.key AND d.key <= coalesce(last.key, 1000000)
          AND (json_extract(d.value, '$.outcome') = 'done' AND json_extract(d.value, '$.action')
               IN ('end process', 'cancel entries', 'flatten', 'verify stops')
               OR json_extract(d.value, '$.action') = 'end'
               AND json_extract(d.value, '$.outcome') <> 'done')),
       j.seq
FROM journal j, json_each(j.body, '$.lines') line
LEFT JOIN json_each(j.body, '$.lines') last
  ON last.key = (SELECT min(n.key) FROM json_each(j.body, '$.lines') n
                 WHERE n.key > line.key AND json_valid(n.value)
                   AND json_extract(n.value, '$.action') = 'end')
WHERE j.kind = 'Panicked' AND json_valid(line.value)
  AND json_extract(line.value, '$.action') = 'panic';
"""


def up(db: Any) -> None:
    """Add what the venue edge leaves behind; ``db`` is a ``sqlite_utils.Database``."""
    db.executescript(TABLES + VIEWS)
