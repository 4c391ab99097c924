"""Models: the registry, every attempt at training, the scores, and their views."""

from __future__ import annotations

from typing import Any

TABLES = """
CREATE TABLE model(
  model TEXT PRIMARY KEY CHECK(length(model) = 64), seq INTEGER NOT NULL, at INTEGER NOT NULL,
  run TEXT NOT NULL, manifest TEXT NOT NULL CHECK(json_valid(manifest))
) STRICT, WITHOUT ROWID;

CREATE TABLE training_attempt(
  run TEXT NOT NULL, attempt INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
  cause TEXT NOT NULL, reason TEXT NOT NULL, seconds REAL NOT NULL, peak_mb INTEGER NOT NULL,
  exit_code INTEGER NOT NULL, signal INTEGER NOT NULL, rows INTEGER NOT NULL,
  reduced TEXT NOT NULL, model TEXT NOT NULL,
  PRIMARY KEY(run, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE model_score(
  id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, model TEXT NOT NULL,
  symbol TEXT NOT NULL, open_time INTEGER NOT NULL,
  score REAL CHECK(score BETWEEN 0 AND 1), fault TEXT NOT NULL,
  CHECK((score IS NULL) = (fault <> ''))
) STRICT;

CREATE TRIGGER model_kept_u BEFORE UPDATE ON model
BEGIN SELECT RAISE(ABORT, 'a registered model is never changed'); END;
CREATE TRIGGER model_kept_d BEFORE DELETE ON model
BEGIN SELECT RAISE(ABORT, 'a registered model is never forgotten'); END;
"""

VIEWS = """
CREATE VIEW model_lineage AS
SELECT i.key AS model, i.state, datetime(i.since / 1000.0, 'unixepoch') AS since, i.reason,
       coalesce(m.run, a.run) AS run, datetime(a.at / 1000.0, 'unixepoch') AS made,
       datetime(json_extract(m.manifest, '$.trained_from') / 1000.0, 'unixepoch') AS trained_from,
       datetime(json_extract(m.manifest, '$.trained_to') / 1000.0, 'unixepoch') AS trained_to,
       json_extract(m.manifest, '$.rows_fit') AS rows_fit,
       json_extract(m.manifest, '$.rows_held_out') AS rows_held_out,
       json_extract(m.manifest, '$.metrics.auc') AS auc,
       json_extract(m.manifest, '$.metrics.log_loss') AS log_loss,
       json_extract(m.manifest, '$.metrics.brier') AS brier,
       json_extract(m.manifest, '$.metrics.skill') AS skill,
       json_extract(m.manifest, '$.metrics.base_rate') AS base_rate,
       json_extract(m.manifest, '$.build') AS build,
       (SELECT count(*) FROM transition t WHERE t.machine = 'model' AND t.key = i.key
        AND t.dest = 'CHAMPION') AS reigns
FROM instance i LEFT JOIN model m ON m.model = i.key
LEFT JOIN training_attempt a ON a.model = i.key
WHERE i.machine = 'model';

CREATE VIEW training_runs AS
SELECT i.key AS run, i.state, datetime(i.since / 1000.0, 'unixepoch') AS since, i.reason,
       a.attempt, a.cause, a.seconds, a.peak_mb, a.exit_code, a.signal, a.rows, a.reduced, a.model
FROM instance i LEFT JOIN training_attempt a ON a.run = i.key
WHERE i.machine = 'training';

CREATE VIEW model_scores AS
SELECT datetime(at / 1000.0, 'unixepoch') AS at, model, symbol,
       datetime(open_time / 1000.0, 'unixepoch') AS candle, score, fault, seq
FROM model_score;
"""


def up(db: Any) -> None:
    """Add what models and their training leave behind; ``db`` is a ``sqlite_utils.Database``."""
    db.executescript(TABLES + VIEWS)
