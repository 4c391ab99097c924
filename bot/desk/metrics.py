"""Names every metric with its type, unit, and meaning, and writes their values as Prometheus text.

The one list: what is shown, served, documented, drawn, and alarmed on is looked up here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
SUFFIXES = {
    "seconds": "_seconds",
    "s UTC": "_timestamp_seconds",
    "bytes": "_bytes",
    "fraction of 1": "_ratio",
    "quote units": "_quote",
}
"""The end of a name by its unit; a count and a 0 or 1 have none."""


class Metric(Struct, frozen=True):
    """One metric. ``unit`` is a key of SUFFIXES, or says what is counted; ``live``: only the
    running process knows it, the database does not.
    """

    name: str
    kind: str
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    live: bool = False


def _gauge(name: str, unit: str, meaning: str, *labels: str, live: bool = False) -> Metric:
    return Metric(name, GAUGE, unit, meaning, labels, live)


def _counter(name: str, unit: str, meaning: str, *labels: str, live: bool = False) -> Metric:
    return Metric(name, COUNTER, unit, meaning, labels, live)


def _histogram(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, HISTOGRAM, "seconds", meaning, labels, live=True)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        # what it is
        _gauge("bot_up", "0 or 1", "Whether a bot runs and its heart beats."),
        _gauge("bot_life_state", "0 or 1", "What the process is, as status says it.", "state"),
        _gauge("bot_heartbeat_timestamp_seconds", "s UTC", "When the reactor beat last."),
        _gauge("bot_metrics_timestamp_seconds", "s UTC", "When these values were read."),
        _gauge("bot_market_timestamp_seconds", "s UTC", "Market time of the newest event."),
        _gauge(
            "bot_market_speed", "market s a real s", "How fast the market runs; 1 at a real venue."
        ),
        _gauge("bot_build_info", "1", "Which code runs, on which SQLite.", "build", "sqlite", live=True),
        # state
        _gauge(
            "bot_machine_state",
            "0 or 1",
            "Where each machine stands: 1 for its state, 0 for every other.",
            *("machine", "key", "state"),
        ),
        _gauge("bot_entry_level", "0 or 1", "What an entry may do: 1 for the level.", "level"),
        _gauge("bot_halt_set", "0 or 1", "Whether the HALT mark is set, missing, or unreadable."),
        _gauge("bot_latch_set", "0 or 1", "Whether entries are latched off in memory."),
        _gauge("bot_parameters_set", "settings", "Settings that an operator changed for a time."),
        # money
        _gauge("bot_equity_quote", "quote units", "Equity at the newest mark."),
        _gauge("bot_equity_peak_quote", "quote units", "Highest equity."),
        _gauge("bot_cash_quote", "quote units", "Cash by the bot's own ledger."),
        _gauge("bot_drawdown_ratio", "fraction of 1", "Loss from the peak."),
        _gauge("bot_day_loss_ratio", "fraction of 1", "Loss since the day's start; below 0: a profit."),
        _gauge("bot_positions", "positions", "Open positions."),
        _gauge("bot_position_stop_held", "0 or 1", "Whether the venue holds its stop.", "symbol"),
        _gauge("bot_stop_coverage_ratio", "fraction of 1", "Open positions with a held stop; 1 if none."),
        _counter("bot_trades_total", "round trips", "Round trips that were closed.", "result"),
        _counter("bot_refusals_total", "refusals", "Orders wanted and not sent, one a control."),
        # orders and deliveries
        _gauge("bot_orders", "orders", "Every order of this database by its state.", "state"),
        _gauge("bot_order_doubt_age_seconds", "seconds", "Oldest order whose outcome is unknown; 0: none."),
        _gauge("bot_foreign_symbols", "symbols", "Symbols with open orders that are not ours."),
        _gauge("bot_deliveries", "effects", "Every effect of this database by its state.", "state"),
        _gauge("bot_undelivered", "effects", "Effects not carried out yet.", "effect"),
        _gauge("bot_undelivered_age_seconds", "seconds", "The oldest of them; 0: none.", "effect"),
        _gauge("bot_effects_in_flight", "effects", "Effects that are being carried out.", live=True),
        # health
        _gauge("bot_feed_candle_age_seconds", "seconds", "Since the newest candle closed.", "symbol"),
        _gauge(
            "bot_feed_quote_age_seconds", "seconds", "Since the symbol's newest data.", "symbol", live=True
        ),
        _gauge(
            "bot_api_budget_used_ratio", "fraction of 1", "Used part of a limit of the venue.", "limit", live=True
        ),
        _gauge("bot_events_waiting", "events", "Events waiting for the reactor.", live=True),
        _counter("bot_events_dropped_total", "events", "Events left out of a full queue.", live=True),
        _counter("bot_log_lines_dropped_total", "lines", "Log lines nobody took in time.", live=True),
        _counter("bot_journal_events_total", "events", "Events of the journal: the newest seq."),
        _counter("bot_transitions_total", "transitions", "Transitions: the id of the audit head."),
        _gauge("bot_database_bytes", "bytes", "Size of the database and of its log.", "file"),
        _gauge("bot_disk_free_bytes", "bytes", "Free space of the disk that holds it."),
        _gauge("bot_process_resident_memory_bytes", "bytes", "Resident memory of the running bot."),
        _counter("bot_process_cpu_seconds_total", "seconds", "CPU time of the running bot."),
        _gauge("bot_process_open_fds", "descriptors", "Open files and sockets of the running bot."),
        _gauge("bot_process_start_time_seconds", "seconds", "When the running bot started, s UTC."),
        # what it thinks of itself
        _gauge("bot_check_well", "0 or 1", "Whether a check of health is WELL.", "check"),
        _gauge("bot_objective_spent_ratio", "fraction of 1", "Spent part of an error budget.", "objective"),
        _gauge("bot_objective_burn", "times", "How much faster than evenly it was spent in the last hour.", "objective"),
        _counter("bot_healing_attempts_total", "attempts", "Attempts at healing that ended.", "remedy", "outcome"),
        _gauge("bot_healing_today", "attempts", "Attempts of a remedy within the last day.", "remedy"),
        _gauge("bot_healing_limit", "attempts", "At most so many of them a day.", "remedy"),
        _gauge("bot_healing_waiting", "attempts", "Remedies that wait for a person to approve them."),
        _counter("bot_escalations_total", "escalations", "Checks that nothing cured."),
        _gauge("bot_alerts_open", "alerts", "Alerts that are not closed.", "severity"),
        _gauge("bot_backup_age_seconds", "seconds", "Since the newest backup beside the database."),
        _gauge("bot_model_age_seconds", "seconds", "Since the newest candle that a model learnt from, market time.", "model", "state"),
        # latency
        _histogram(
            "bot_phase_seconds",
            "One phase of the way to an order: feature (a question to the indicators), decide (one "
            "event), commit (a turn's lock, rows, and sync), send (durable to the order's first "
            "byte), acknowledge (durable to the venue's answer).",
            "phase",
        ),
        _histogram("bot_loop_lag_seconds", "How much later than asked the event loop woke up."),
    )
}  # fmt: skip
"""Every metric by its name, in the order of a person's questions."""


class Buckets(Struct, frozen=True):
    """A histogram's value: ``(upper bound or None, how many took no longer)``, and their sum, s."""

    cumulative: tuple[tuple[float | None, int], ...]
    sum_seconds: float


class Values:
    """Values of metrics, each under its labels' values. What is not in METRICS is refused."""

    def __init__(self) -> None:
        self._found: dict[str, dict[tuple[str, ...], float | Buckets]] = {}

    def put(self, name: str, value: float | Buckets, *labels: str) -> None:
        """Set a value. Raises KeyError for an unknown name, ValueError for too few labels."""
        metric = METRICS[name]
        if len(labels) != len(metric.labels):
            raise ValueError(f"{name}: expected labels {metric.labels}, found {labels}")
        self._found.setdefault(name, {})[labels] = value

    def update(self, other: Values) -> None:
        """Take over what another has, in place of what is here."""
        self._found |= other._found

    def one_of(self, name: str, chosen: str, choices: Iterable[str], *before: str) -> None:
        """Set 1 for the chosen value of the last label and 0 for every other."""
        for choice in dict.fromkeys((*choices, chosen)):
            self.put(name, float(choice == chosen), *before, choice)

    def items(self) -> Iterator[tuple[Metric, dict[tuple[str, ...], float | Buckets]]]:
        """Yield the metrics that have a value, in the order of METRICS."""
        yield from ((m, self._found[m.name]) for m in METRICS.values() if m.name in self._found)

    def collect(self) -> Iterator[Family]:
        """Yield the families that the Prometheus client writes."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        kinds: dict[str, Any] = {GAUGE: GaugeMetricFamily, COUNTER: CounterMetricFamily}
        kinds[HISTOGRAM] = HistogramMetricFamily
        for metric, found in self.items():
            family = kinds[metric.kind](metric.name, metric.meaning, labels=metric.labels)
            for labels, value in found.items():
                if isinstance(value, Buckets):
                    bounds = [(_bound(le), float(n)) for le, n in value.cumulative]
                    family.add_metric(labels, buckets=bounds, sum_value=value.sum_seconds)
                else:
                    family.add_metric(labels, value)
            yield family

    def text(self) -> str:
        """Return all values in the exposition format of Prometheus, version 0.0.4."""
        from prometheus_client import generate_latest

        registry: Any = self  # it asks a registry for nothing but ``collect``
        return generate_latest(registry).decode()

    def document(self) -> list[dict[str, Any]]:
        """Return all values as data: one entry a metric, one sample for each set of labels."""
        return [
            {
                "name": m.name,
                "kind": m.kind,
                "unit": m.unit,
                "meaning": m.meaning,
                "samples": [
                    {"labels": dict(zip(m.labels, labels, strict=True)), "value": value}
                    for labels, value in found.items()
                ],
            }
            for m, found in self.items()
        ]


def _bound(le: float | None) -> str:
    return "+Inf" if le is None else f"{le:g}"


def markdown() -> str:
    """Return the table of all metrics as docs/metrics.md has it."""
    lines = ["| metric | type | unit | labels | what it is |", "|---|---|---|---|---|"]
    for metric in METRICS.values():
        labels = " ".join(f"`{label}`" for label in metric.labels)
        name = f"`{metric.name}`{' ¹' if metric.live else ''}"
        lines.append(f"| {name} | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} |")
    return "\n".join(lines) + "\n"
