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
"""


def up(db: Any) -> None:
    """Make the index and the views; ``db`` is a ``sqlite_utils.Database``."""
    db.executescript(INDEXES)
    db.executescript(VIEWS)
