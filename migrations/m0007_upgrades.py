"""Upgrades: which code decided when, who put it there, and the drills of people."""

from __future__ import annotations

from typing import Any

INDEXES = """
CREATE INDEX journal_code ON journal(kind, seq) WHERE kind IN ('Started', 'Upgraded', 'Restored');
"""

VIEWS = """
CREATE VIEW builds AS
WITH starts AS (
  SELECT seq, at, wall, json_extract(body, '$.build') AS build,
         lag(json_extract(body, '$.build')) OVER (ORDER BY seq) AS before
  FROM journal WHERE kind = 'Started'
)
SELECT datetime(at / 1000.0, 'unixepoch') AS at, datetime(wall / 1000.0, 'unixepoch') AS wall,
       'start' AS what, coalesce(before, '') AS before, build, '' AS operator, '' AS reason,
       '' AS detail, seq
FROM starts WHERE before IS NOT build
UNION ALL
SELECT datetime(at / 1000.0, 'unixepoch'), datetime(wall / 1000.0, 'unixepoch'), 'upgrade',
       json_extract(body, '$.before'), json_extract(body, '$.build'),
       json_extract(body, '$.operator'), json_extract(body, '$.reason'),
       json_extract(body, '$.migrations'), seq
FROM journal WHERE kind = 'Upgraded'
UNION ALL
SELECT datetime(at / 1000.0, 'unixepoch'), datetime(wall / 1000.0, 'unixepoch'), 'restore',
       '', '', json_extract(body, '$.operator'), json_extract(body, '$.reason'),
       json_extract(body, '$.backup'), seq
FROM journal WHERE kind = 'Restored';

CREATE VIEW limits_met AS
SELECT datetime(at / 1000.0, 'unixepoch') AS at, 'control' AS what, control AS name, symbol AS key,
       reason, seq
FROM refusal
UNION ALL
SELECT datetime(t.at / 1000.0, 'unixepoch'), 'machine', t.machine || ' ' || t.dest, t.key,
       t.reason, t.seq
FROM transition t
WHERE (t.machine, t.dest) IN (
  VALUES ('guard', 'REDUCED'), ('guard', 'PAUSED'), ('kill', 'TRIPPED'), ('hold', 'HELD'),
         ('breaker', 'OPEN'), ('reconciliation', 'MISMATCH'), ('external', 'EXTERNAL'),
         ('feed', 'STALE'), ('feed', 'GAPPED'), ('feed', 'QUARANTINED'),
         ('storage', 'LOW'), ('storage', 'FULL'), ('storage', 'READONLY'), ('storage', 'CORRUPT'),
         ('check', 'ESCALATED'), ('process', 'PROTECT_ONLY'), ('order', 'UNKNOWN'),
         ('delivery', 'DEAD'), ('model', 'QUARANTINED'));

CREATE VIEW drills AS
SELECT verb AS name, count(*) AS times, max(wall) AS last, max(operator) AS operator
FROM (SELECT verb, wall, operator FROM operator_actions WHERE outcome = 'DONE')
GROUP BY verb;
"""


def up(db: Any) -> None:
    """Make the index and the views; ``db`` is a ``sqlite_utils.Database``."""
    db.executescript(INDEXES)
    db.executescript(VIEWS)
