"""The spine: journal, rules, transitions with their chain, outbox, ledger, snapshots, and views."""

from __future__ import annotations

from typing import Any

TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE journal(
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  wall INTEGER NOT NULL,
  kind TEXT NOT NULL,
  cause INTEGER,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE rule(
  machine TEXT NOT NULL, source TEXT NOT NULL, trigger TEXT NOT NULL, dest TEXT NOT NULL,
  retired_at INTEGER,
  PRIMARY KEY(machine, source, trigger, dest)
) STRICT, WITHOUT ROWID;

CREATE TABLE transition(
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL REFERENCES journal(seq),
  at INTEGER NOT NULL,
  machine TEXT NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL CHECK(version >= 1),
  source TEXT NOT NULL,
  trigger TEXT NOT NULL,
  dest TEXT NOT NULL,
  reason TEXT NOT NULL CHECK(reason <> ''),
  hash BLOB NOT NULL CHECK(length(hash) = 32),
  previous INTEGER GENERATED ALWAYS AS (CASE WHEN version > 1 THEN version - 1 END) VIRTUAL,
  CHECK((version = 1) = (source = '')),
  UNIQUE(machine, key, version),
  UNIQUE(machine, key, version, dest),
  FOREIGN KEY(machine, source, trigger, dest) REFERENCES rule(machine, source, trigger, dest),
  FOREIGN KEY(machine, key, previous, source) REFERENCES transition(machine, key, version, dest)
) STRICT;
CREATE INDEX transition_seq ON transition(seq);

CREATE TABLE instance(
  machine TEXT NOT NULL, key TEXT NOT NULL,
  state TEXT NOT NULL, version INTEGER NOT NULL, since INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY(machine, key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_champion ON instance(machine)
WHERE machine = 'model' AND state = 'CHAMPION';

CREATE TABLE outbox(
  id TEXT PRIMARY KEY, seq INTEGER NOT NULL REFERENCES journal(seq),
  kind TEXT NOT NULL, body TEXT NOT NULL, expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_seq ON outbox(seq);

CREATE TABLE snapshot(
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, wall INTEGER NOT NULL,
  build TEXT NOT NULL, sha256 BLOB NOT NULL, body BLOB NOT NULL
) STRICT;

CREATE TABLE fill(
  fill TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, client_order TEXT NOT NULL,
  symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, price TEXT NOT NULL,
  fee TEXT NOT NULL, realised TEXT NOT NULL, closed_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE trade(
  id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
  qty TEXT NOT NULL, entry TEXT NOT NULL, exit TEXT NOT NULL, pnl TEXT NOT NULL, fees TEXT NOT NULL,
  opened_at INTEGER NOT NULL, closed_at INTEGER NOT NULL,
  shadow INTEGER NOT NULL CHECK(shadow IN (0, 1)), reason TEXT NOT NULL
) STRICT;

CREATE TABLE equity(
  id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL,
  equity TEXT NOT NULL, cash TEXT NOT NULL, peak TEXT NOT NULL, day_start TEXT NOT NULL,
  drawdown REAL NOT NULL, day_loss REAL NOT NULL, why TEXT NOT NULL
) STRICT;

CREATE TABLE refusal(
  id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL,
  symbol TEXT NOT NULL, side TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;

CREATE TABLE position(
  symbol TEXT PRIMARY KEY, seq INTEGER NOT NULL, qty TEXT NOT NULL, entry TEXT NOT NULL,
  stop TEXT, take TEXT, stop_held INTEGER NOT NULL CHECK(stop_held IN (0, 1)),
  opened_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE candle(
  symbol TEXT NOT NULL, open_time INTEGER NOT NULL,
  open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
  volume REAL NOT NULL, source TEXT NOT NULL, received_at INTEGER NOT NULL,
  how TEXT NOT NULL CHECK(how IN ('stream', 'backfill')),
  PRIMARY KEY(symbol, open_time)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER transition_kept_u BEFORE UPDATE ON transition
BEGIN SELECT RAISE(ABORT, 'transition is append-only'); END;
CREATE TRIGGER transition_kept_d BEFORE DELETE ON transition
BEGIN SELECT RAISE(ABORT, 'transition is append-only'); END;
CREATE TRIGGER journal_kept_u BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END;
CREATE TRIGGER journal_kept_d BEFORE DELETE ON journal
WHEN OLD.kind IN ('Commanded', 'Restored', 'Panicked', 'Halted')
  OR EXISTS(SELECT 1 FROM transition WHERE seq = OLD.seq)
BEGIN SELECT RAISE(ABORT, 'journal rows that moved something are kept'); END;
CREATE TRIGGER rule_kept_d BEFORE DELETE ON rule
BEGIN SELECT RAISE(ABORT, 'rules are retired, never deleted'); END;
CREATE TRIGGER rule_kept_u BEFORE UPDATE OF machine, source, trigger, dest ON rule
BEGIN SELECT RAISE(ABORT, 'rules are retired, never changed'); END;
CREATE TRIGGER rule_in_force BEFORE INSERT ON transition
WHEN EXISTS(SELECT 1 FROM rule WHERE machine = NEW.machine AND source = NEW.source
            AND trigger = NEW.trigger AND dest = NEW.dest AND retired_at IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'this rule is retired'); END;
CREATE TRIGGER project AFTER INSERT ON transition
BEGIN
  INSERT INTO instance(machine, key, state, version, since, reason)
  VALUES(NEW.machine, NEW.key, NEW.dest, NEW.version, NEW.at, NEW.reason)
  ON CONFLICT(machine, key) DO UPDATE SET
    state = NEW.dest, version = NEW.version, since = NEW.at, reason = NEW.reason;
END;
"""

VIEWS = """
CREATE VIEW history AS
SELECT t.id, datetime(t.at / 1000.0, 'unixepoch') AS at, t.machine, t.key, t.version,
       t.source, t.trigger, t.dest, t.reason, t.seq, lower(hex(substr(t.hash, 1, 6))) AS head
FROM transition t;

CREATE VIEW guard_history AS
SELECT datetime(t.at / 1000.0, 'unixepoch') AS at, t.source, t.dest, t.reason,
       (SELECT min(n.at) FROM transition n
        WHERE n.machine = 'guard' AND n.key = t.key AND n.version = t.version + 1) / 1000.0
       - t.at / 1000.0 AS seconds, t.seq
FROM transition t WHERE t.machine = 'guard';

CREATE VIEW kill_history AS
SELECT datetime(at / 1000.0, 'unixepoch') AS at, key, source, dest, reason, seq
FROM transition WHERE machine = 'kill';

CREATE VIEW operator_actions AS
SELECT datetime(j.at / 1000.0, 'unixepoch') AS at, datetime(j.wall / 1000.0, 'unixepoch') AS wall,
       json_extract(j.body, '$.operator') AS operator,
       json_extract(j.body, '$.identity') AS identity,
       coalesce(json_extract(j.body, '$.verb'), 'restore') AS verb,
       json_extract(j.body, '$.args') AS args,
       json_extract(j.body, '$.reason') AS reason, coalesce(i.state, 'DONE') AS outcome,
       coalesce(i.reason, json_extract(j.body, '$.backup')) AS why, j.seq
FROM journal j LEFT JOIN instance i ON i.machine = 'run' AND i.key = json_extract(j.body, '$.id')
WHERE j.kind IN ('Commanded', 'Restored');

CREATE VIEW order_history AS
SELECT i.key AS client_order, i.state, datetime(i.since / 1000.0, 'unixepoch') AS since, i.reason,
       json_extract(o.body, '$.symbol') AS symbol, json_extract(o.body, '$.side') AS side,
       json_extract(o.body, '$.qty') AS qty, json_extract(o.body, '$.reduce_only') AS reduce_only,
       o.id AS effect, (SELECT b.reason FROM transition b
        WHERE b.machine = 'order' AND b.key = i.key AND b.version = 1) AS decided
FROM instance i LEFT JOIN outbox o
  ON o.id = (SELECT b.seq FROM transition b
             WHERE b.machine = 'order' AND b.key = i.key AND b.version = 1)
         || '-' || substr(i.key, length(rtrim(i.key, '0123456789')) + 1)
WHERE i.machine = 'order';

CREATE VIEW open_positions AS
SELECT p.symbol, CASE WHEN CAST(p.qty AS REAL) > 0 THEN 'long' ELSE 'short' END AS side,
       p.qty, p.entry, p.stop, p.take, p.stop_held, i.state,
       datetime(p.opened_at / 1000.0, 'unixepoch') AS opened
FROM position p LEFT JOIN instance i ON i.machine = 'position' AND i.key = p.symbol
WHERE CAST(p.qty AS REAL) <> 0;

CREATE VIEW trades AS
SELECT id, symbol, CASE side WHEN 'Buy' THEN 'long' ELSE 'short' END AS side, qty, entry, exit,
       pnl, fees, datetime(opened_at / 1000.0, 'unixepoch') AS opened,
       datetime(closed_at / 1000.0, 'unixepoch') AS closed, shadow, reason, seq
FROM trade;

CREATE VIEW daily_pnl AS
SELECT date(closed_at / 1000.0, 'unixepoch') AS day, count(*) AS trades,
       sum(CAST(pnl AS REAL) > 0) AS wins, round(sum(CAST(pnl AS REAL)), 8) AS pnl,
       round(sum(CAST(fees AS REAL)), 8) AS fees
FROM trade WHERE shadow = 0 GROUP BY day;

CREATE VIEW equity_by_day AS
SELECT day, CAST(first AS REAL) AS open, low, high, CAST(equity AS REAL) AS close, drawdown
FROM (
  SELECT date(at / 1000.0, 'unixepoch') AS day,
         first_value(equity) OVER w AS first, last_value(equity) OVER w AS equity,
         min(CAST(equity AS REAL)) OVER w AS low, max(CAST(equity AS REAL)) OVER w AS high,
         max(drawdown) OVER w AS drawdown, row_number() OVER w AS n
  FROM equity
  WINDOW w AS (PARTITION BY date(at / 1000.0, 'unixepoch') ORDER BY id
               ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
) WHERE n = 1;

CREATE VIEW why_no_trade AS
SELECT datetime(at / 1000.0, 'unixepoch') AS at, symbol, side, reason, seq FROM refusal;

CREATE VIEW deliveries AS
SELECT o.id, o.kind, i.state, datetime(i.since / 1000.0, 'unixepoch') AS since, i.reason, o.body
FROM outbox o LEFT JOIN instance i ON i.machine = 'delivery' AND i.key = o.id;

CREATE VIEW machines AS
SELECT machine, key, state, version, datetime(since / 1000.0, 'unixepoch') AS since, reason
FROM instance;
"""


def up(db: Any) -> None:
    """Create everything; ``db`` is a ``sqlite_utils.Database``."""
    db.executescript(TABLES + VIEWS)
