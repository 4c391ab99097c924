"""Alerts: what people were told of, and how long each message took to reach them."""

from __future__ import annotations

from typing import Any

TABLES = """
CREATE TABLE alert(
  id TEXT PRIMARY KEY, seq INTEGER NOT NULL, key TEXT NOT NULL, severity TEXT NOT NULL,
  since INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, latch INTEGER NOT NULL,
  runbook TEXT NOT NULL, text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX alert_seq ON alert(seq);
CREATE INDEX outbox_alert ON outbox(json_extract(body, '$.alert')) WHERE kind = 'Notify';
"""

VIEWS = """
CREATE VIEW alerts AS
SELECT a.id, a.key, a.severity, i.state, datetime(a.since / 1000.0, 'unixepoch') AS since,
       datetime(a.last / 1000.0, 'unixepoch') AS last, a.count, a.text, a.runbook,
       (SELECT group_concat(d.channel || ' ' || d.state
                            || CASE d.n WHEN 1 THEN '' ELSE ' ×' || d.n END, ', ')
        FROM (SELECT json_extract(o.body, '$.channel') AS channel, s.state, count(*) AS n
              FROM outbox o JOIN instance s ON s.machine = 'delivery' AND s.key = o.id
              WHERE o.kind = 'Notify' AND json_extract(o.body, '$.alert') = a.id
              GROUP BY 1, 2 ORDER BY 1, 2) d
        WHERE d.channel <> 'screen') AS deliveries,
       i.reason, a.seq
FROM alert a LEFT JOIN instance i ON i.machine = 'alert' AND i.key = a.id;

CREATE VIEW alert_delays AS
SELECT o.id, datetime(j.at / 1000.0, 'unixepoch') AS at, json_extract(o.body, '$.alert') AS alert,
       json_extract(o.body, '$.severity') AS severity,
       json_extract(o.body, '$.channel') AS channel, i.state,
       CASE i.state WHEN 'SENT' THEN e.wall - j.wall END AS delay_ms, i.reason, o.seq
FROM outbox o JOIN journal j ON j.seq = o.seq
JOIN instance i ON i.machine = 'delivery' AND i.key = o.id
LEFT JOIN transition t ON t.machine = 'delivery' AND t.key = o.id AND t.version = i.version
LEFT JOIN journal e ON e.seq = t.seq
WHERE o.kind = 'Notify' AND json_extract(o.body, '$.channel') NOT IN ('', 'screen');
"""


def up(db: Any) -> None:
    """Add what alerts leave behind; ``db`` is a ``sqlite_utils.Database``."""
    db.executescript(TABLES + VIEWS)
