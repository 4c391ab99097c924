"""Healing: what may be tried, every attempt with what came of it, and what nothing cured."""

from __future__ import annotations

from typing import Any

TABLES = """
CREATE TABLE remedy(
  name TEXT PRIMARY KEY, meaning TEXT NOT NULL, checks TEXT NOT NULL,
  risk TEXT NOT NULL CHECK(risk IN ('low', 'medium', 'high')),
  attempts INTEGER NOT NULL, cool_real_seconds REAL NOT NULL, within_real_seconds REAL NOT NULL,
  backs_up TEXT NOT NULL, verified TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE healing_attempt(
  run TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, last INTEGER NOT NULL,
  remedy TEXT NOT NULL, name TEXT NOT NULL, risk TEXT NOT NULL, state TEXT NOT NULL,
  said TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE escalation(
  id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, name TEXT NOT NULL,
  said TEXT NOT NULL, tried TEXT NOT NULL CHECK(json_valid(tried)), file TEXT NOT NULL
) STRICT;
"""

VIEWS = """
CREATE VIEW healing AS
SELECT r.name AS remedy, r.checks AS checks, r.risk AS risk,
       (SELECT count(*) FROM healing_attempt a WHERE a.remedy = r.name AND a.state <> 'PROPOSED'
        AND a.state <> 'EXPIRED'
        AND a.at > (SELECT at FROM journal ORDER BY seq DESC LIMIT 1) - 86400000) AS today,
       r.attempts AS a_day,
       (SELECT count(*) FROM healing_attempt a WHERE a.remedy = r.name AND a.state = 'DONE')
       AS cured,
       (SELECT count(*) FROM healing_attempt a WHERE a.remedy = r.name AND a.state = 'FAILED')
       AS failed,
       r.meaning AS meaning
FROM remedy r;

CREATE VIEW healing_attempts AS
SELECT run, datetime(at / 1000.0, 'unixepoch') AS at, name, remedy, risk, state, said,
       (last - at) / 1000.0 AS seconds, seq
FROM healing_attempt;

CREATE VIEW escalations AS
SELECT id, datetime(at / 1000.0, 'unixepoch') AS at, name, said, tried, file, seq FROM escalation;
"""


def up(db: Any) -> None:
    """Make the tables and views."""
    db.executescript(TABLES)
    db.executescript(VIEWS)
