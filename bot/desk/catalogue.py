"""The views that people query: what each answers, and what its columns mean."""

from __future__ import annotations

from msgspec import Struct

from bot.desk.health_views import HEALTH, View
from bot.desk.upkeep_views import UPKEEP


class Answer(Struct, frozen=True):
    """A question people ask, and the SQL that answers it."""

    question: str
    sql: str


_AT = "market time, UTC"
_SEQ = "number of the event in the journal"
_WHY = "why, with numbers"

VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View(
            "history",
            "What moved, when, and why?",
            {
                "id": "number of the transition, without gaps",
                "at": _AT,
                "machine": "which machine",
                "key": "which one: account, a symbol, an order, …",
                "version": "how many moves it has made",
                "source": "state before, empty at birth",
                "trigger": "the kind of event that moved it",
                "dest": "state after",
                "reason": _WHY,
                "seq": _SEQ,
                "head": "first twelve digits of the chain's hash here",
            },
        ),
        View(
            "guard_history",
            "How often was the guard REDUCED or PAUSED, why, and for how long?",
            {
                "at": _AT,
                "source": "state before",
                "dest": "state after",
                "reason": _WHY,
                "seconds": "how long it stayed (market time), empty while it does",
                "seq": _SEQ,
            },
        ),
        View(
            "kill_history",
            "When did a kill switch trip, why, and who re-armed it?",
            {
                "at": _AT,
                "key": "account or symbol",
                "source": "state before",
                "dest": "state after",
                "reason": _WHY,
                "seq": _SEQ,
            },
        ),
        View(
            "operator_actions",
            "What did each operator do, with what reason, and what came of it?",
            {
                "at": _AT,
                "wall": "the computer's own time, UTC",
                "operator": "name",
                "identity": "kernel: seen on the socket; claimed: said by the command line",
                "verb": "the command; empty for a restore",
                "args": "its arguments, JSON",
                "reason": "the operator's reason",
                "outcome": "state of the run: DONE, REFUSED, …",
                "why": "the run's last reason",
                "seq": _SEQ,
            },
        ),
        View(
            "order_history",
            "What became of every order?",
            {
                "client_order": "id that went to the venue",
                "state": "where it stands or ended",
                "since": "market time of its last move, UTC",
                "reason": "why of its last move",
                "symbol": "symbol",
                "side": "Buy or Sell",
                "qty": "quantity, base units",
                "reduce_only": "1 for an exit",
                "effect": "id of its row in deliveries",
                "decided": "why the bot decided on it",
            },
        ),
        View(
            "open_positions",
            "What is open, and does the venue hold its stop?",
            {
                "symbol": "symbol",
                "side": "long or short",
                "qty": "signed quantity, base units",
                "entry": "average entry price",
                "stop": "price of the stop",
                "take": "price of the target",
                "stop_held": "1 if the venue holds exactly this stop",
                "state": "state of the position machine",
                "opened": "market time of the entry, UTC",
            },
        ),
        View(
            "trades",
            "Which round trips were made, and what did each earn?",
            {
                "id": "number",
                "symbol": "symbol",
                "side": "long or short",
                "qty": "quantity, base units",
                "entry": "average entry price",
                "exit": "average exit price",
                "pnl": "profit net of fees, quote units",
                "fees": "fees, quote units",
                "opened": "market time of the entry, UTC",
                "closed": "market time of the exit, UTC",
                "shadow": "1 if it was only scored, never sent",
                "reason": "why it was closed",
                "seq": _SEQ,
            },
        ),
        View(
            "daily_pnl",
            "What did each day's closed trades earn?",
            {
                "day": "UTC day of the exit",
                "trades": "round trips",
                "wins": "those with a profit",
                "pnl": "profit net of fees, quote units",
                "fees": "fees, quote units",
            },
        ),
        View(
            "equity_by_day",
            "What is the equity curve by day?",
            {
                "day": "UTC day",
                "open": "first equity of the day, quote units",
                "low": "lowest",
                "high": "highest",
                "close": "last",
                "drawdown": "largest drawdown from the peak, fraction of 1",
            },
        ),
        View(
            "why_no_trade",
            "Which signals were not traded, and why?",
            {
                "at": _AT,
                "symbol": "symbol",
                "side": "Buy or Sell",
                "control": "the question or pre-trade control that refused",
                "reason": _WHY,
                "seq": _SEQ,
            },
        ),
        View(
            "cash_moves",
            "What cash came or went without an execution?",
            {
                "at": "when it moved, UTC",
                "kind": "the venue's word: SETTLEMENT (funding), TRANSFER_IN, …",
                "symbol": "symbol, if it concerns one",
                "change": "change of the wallet, quote units",
                "seq": _SEQ,
            },
        ),
        View(
            "reconciliations",
            "Did the ledger agree with the venue?",
            {
                "at": _AT,
                "depth": "light, full, or day",
                "wallet": "the venue's wallet, quote units",
                "cash": "the bot's ledger, quote units",
                "positions": "open positions at the venue",
                "fills": "executions that were read",
                "moves": "cash moves that were read",
                "verdict": "equal, or what differs",
                "seq": _SEQ,
            },
        ),
        View(
            "model_lineage",
            "Which models were there, what did each learn from, and how good was it?",
            {
                "model": "id: SHA-256 of its manifest",
                "state": "state of the model machine",
                "since": "market time of its last move, UTC",
                "reason": _WHY,
                "run": "the training that made it",
                "made": _AT,
                "trained_from": "first candle it learnt from, market time, UTC",
                "trained_to": "last candle it learnt from",
                "rows_fit": "candles it learnt from",
                "rows_held_out": "later candles that only measured it",
                "auc": "area under the ROC curve on those; 0.5 is chance",
                "log_loss": "log loss on those",
                "brier": "Brier score on those",
                "skill": "1 - Brier / Brier of always saying the base rate; above 0 is better",
                "base_rate": "share of 1 among the labels it learnt from",
                "build": "which code made it",
                "reigns": "how often it became champion",
            },
        ),
        View(
            "training_runs",
            "What became of each training, and of each attempt?",
            {
                "run": "id of the training",
                "state": "state of the training machine",
                "since": "market time of its last move, UTC",
                "reason": _WHY,
                "attempt": "number of the attempt, empty before the first ended; 0: the trainer",
                "cause": "ok, memory, killed, crashed, timeout, refused, failed, interrupted, lost",
                "seconds": "how long it took, real time",
                "peak_mb": "most memory it held, MiB",
                "exit_code": "exit code of its process",
                "signal": "signal that ended it, 0 for none",
                "rows": "candles it learnt from",
                "reduced": "what the next attempt did with less",
                "model": "id of the model it made, empty for none",
            },
        ),
        View(
            "model_scores",
            "What did each model say of each candle?",
            {
                "at": _AT,
                "model": "id",
                "symbol": "symbol",
                "candle": "open time of the candle, UTC",
                "score": "probability; empty if the vote was dropped",
                "fault": "why it was dropped",
                "seq": _SEQ,
            },
        ),
        View(
            "deliveries",
            "What was sent to the world, and did it arrive?",
            {
                "id": "event number and position in it",
                "kind": "Submit, Cancel, Protect, Notify, …",
                "state": "PENDING, SENT, RETRY, DEAD, EXPIRED",
                "since": "market time of its last move, UTC",
                "reason": _WHY,
                "body": "the effect, JSON",
            },
        ),
        View(
            "alerts",
            "What were people told of, did it reach them, and who answered?",
            {
                "id": "number of the event that raised it, and which of its alerts it is",
                "key": "what it is about; the same one is counted while it is open",
                "severity": "info, warning, critical",
                "state": "QUEUED (for the digest), RAISED, ESCALATED, ACKNOWLEDGED, CLOSED",
                "since": "market time at which it was raised, UTC",
                "last": "market time at which it happened last, UTC",
                "count": "how many times it happened",
                "text": "what people were told",
                "runbook": "what to do: a heading of docs/alerts.md",
                "deliveries": "each channel with the state of its messages, and how many",
                "reason": "why of its last move: who acknowledged it, for example",
                "seq": _SEQ,
            },
        ),
        View(
            "alert_delays",
            "How long did each message take to reach people?",
            {
                "id": "id of its row in deliveries",
                "at": "market time of the event, UTC",
                "alert": "id of its alert, or digest",
                "severity": "info, warning, critical",
                "channel": "which channel: mailto-1, discord-2, …",
                "state": "PENDING, SENT, RETRY, DEAD",
                "delay_ms": "event journaled → arrival journaled, real ms; empty unless SENT",
                "reason": "how many attempts it took, or why it failed",
                "seq": _SEQ,
            },
        ),
        View(
            "machines",
            "Where does every machine stand, since when, and why?",
            {
                "machine": "which machine",
                "key": "which one",
                "state": "where it stands",
                "version": "how many moves it has made",
                "since": "market time of its last move, UTC",
                "reason": _WHY,
            },
        ),
        *HEALTH,
        *UPKEEP,
    )
}
"""Every view of the database, by name."""

ANSWERS: tuple[Answer, ...] = (
    Answer(
        "How often was the guard REDUCED last week, and why?",
        "SELECT at, reason, seconds FROM guard_history WHERE dest = 'REDUCED'"
        " AND at >= datetime((SELECT max(at) FROM history), '-7 days')",
    ),
    Answer(
        "Every operator action with name and reason",
        "SELECT at, operator, verb, args, reason, outcome FROM operator_actions ORDER BY seq",
    ),
    Answer(
        "The equity curve by day",
        "SELECT day, open, low, high, close FROM equity_by_day ORDER BY day",
    ),
    Answer(
        "Why was nothing traded in the last day, most frequent first?",
        "SELECT symbol, control, reason, count(*) AS times FROM why_no_trade"
        " WHERE at >= datetime((SELECT max(at) FROM history), '-1 day')"
        " GROUP BY symbol, control, reason ORDER BY times DESC",
    ),
    Answer(
        "How quickly did messages reach people, channel by channel, and how many did not?",
        "SELECT channel, count(*) AS messages, sum(state = 'SENT') AS sent,"
        " sum(state = 'DEAD') AS dead, avg(delay_ms) AS mean_ms, max(delay_ms) AS longest_ms"
        " FROM alert_delays GROUP BY channel",
    ),
    Answer(
        "Which model is asked, how good was it, and how old is what it learnt from?",
        "SELECT substr(model, 1, 12) AS model, state, skill, auc, trained_to FROM model_lineage"
        " WHERE state IN ('CHAMPION', 'SHADOW')",
    ),
    Answer(
        "What did the bot try to heal, and what came of it?",
        "SELECT at, name, remedy, state, said FROM healing_attempts ORDER BY seq",
    ),
    Answer(
        "Which orders were ever in doubt?",
        "SELECT at, key AS client_order, reason FROM history"
        " WHERE machine = 'order' AND dest = 'UNKNOWN'",
    ),
    Answer(
        "Which code decided when, and who put it there?",
        "SELECT at, what, before, build, operator, reason FROM builds ORDER BY seq",
    ),
)
"""Questions and their SQL; each is run by the tests."""


def markdown() -> str:
    """Return ``docs/queries.md``."""
    lines = [
        "# Queries",
        "",
        '`python -m bot query "SQL"` reads the audit trail; it cannot write, attach, or run for',
        "more than 5 seconds, and shows 10,000 rows at most. A view's name alone is a query too.",
        "`--json` and `--csv` give data. Times are market time, UTC, and compare as text.",
        "",
        "## Questions",
        "",
    ]
    for answer in ANSWERS:
        lines += [f"**{answer.question}**", "", "```sql", answer.sql, "```", ""]
    lines += ["## Views", ""]
    for view in VIEWS.values():
        lines += [f"### {view.name}", "", view.question, "", "| column | meaning |", "|---|---|"]
        lines += [f"| {name} | {meaning} |" for name, meaning in view.columns.items()]
        lines.append("")
    return "\n".join(lines)
