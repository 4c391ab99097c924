"""Health: what each check found last, and how each objective stands."""

from __future__ import annotations

from typing import Any

TABLES = """
CREATE TABLE finding(
  name TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, well INTEGER NOT NULL,
  value REAL, most REAL, said TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE objective(
  name TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL,
  counted_hours REAL NOT NULL, good REAL NOT NULL, spent REAL NOT NULL, burn REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""

VIEWS = """
CREATE VIEW checks AS
SELECT f.name AS name, coalesce(i.state, '') AS state, f.said AS said, f.value AS value,
       f.most AS most, datetime(f.at / 1000.0, 'unixepoch') AS at, f.seq AS seq
FROM finding f LEFT JOIN instance i ON i.machine = 'check' AND i.key = f.name;

CREATE VIEW objectives AS
SELECT name, round(counted_hours, 2) AS hours, round(good, 6) AS good, round(spent, 4) AS spent,
       round(burn, 2) AS burn, datetime(at / 1000.0, 'unixepoch') AS at, seq
FROM objective;
"""


def up(db: Any) -> None:
    """Make the tables and views."""
    db.executescript(TABLES)
    db.executescript(VIEWS)
