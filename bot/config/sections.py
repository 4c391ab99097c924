"""Declares what ``bot.toml`` may say beside the settings of decisions, and lists every key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from bot.core.settings import Settings, keys, value_of


def _number(doc: str, low: float, high: float) -> Meta:
    return Meta(description=doc, ge=low, le=high)


def _text(doc: str) -> Meta:
    return Meta(description=doc)


def _secret(doc: str, variable: str, file: str) -> Meta:
    """Describe a secret: the environment variable and the key of the file that may hold it."""
    return Meta(description=doc, extra={"variable": variable, "file": file})


class _Section(Struct, frozen=True):
    """A section whose ``repr`` leaves its secrets out."""

    def __repr__(self) -> str:
        shown = (
            f"{name}=(hidden)" if is_secret(meta) else f"{name}={getattr(self, name)!r}"
            for name, _, meta in keys(type(self))
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class Venue(_Section, frozen=True):
    """Where orders go: the embedded exchange, a simulated one, or Bybit."""

    env: Annotated[
        Literal["embedded", "sim", "testnet", "demo", "live"],
        _text(
            "embedded starts the simulated exchange itself; sim is one already running on loopback; the others are Bybit's."
        ),
    ] = "embedded"
    account: Annotated[
        str, _text("The account's uid or name as the venue reports it; live needs it typed here.")
    ] = ""
    rest_url: Annotated[
        str, _text("Base URL of REST; Bybit's is built in. sim may have a socket: unix:/path.")
    ] = ""
    ws_url: Annotated[
        str,
        _text("Base URL of the streams; Bybit's is built in. sim may have a socket: unix:/path."),
    ] = ""
    ws_public_url: Annotated[
        str, _text("Base URL of the public streams, where it differs from ws_url.")
    ] = ""
    key_file: Annotated[
        str,
        _text("File that holds the API key: ours, mode 0400; or the name of a systemd credential."),
    ] = ""
    secret_file: Annotated[
        str,
        _text(
            "File that holds the API secret: ours, mode 0400; or the name of a systemd credential."
        ),
    ] = ""
    dcp_seconds: Annotated[
        int,
        _number(
            "All private streams gone for so long: the venue cancels entries. 3 to 300; 0 is off.",
            0,
            300,
        ),
    ] = 0
    key: Annotated[str, _secret("The API key.", "BOT_VENUE_KEY", "venue.key_file")] = ""
    secret: Annotated[str, _secret("The API secret.", "BOT_VENUE_SECRET", "venue.secret_file")] = ""


class Exchange(_Section, frozen=True):
    """The embedded exchange; unused unless ``venue.env`` is embedded."""

    seed: Annotated[int, _number("Seed of the price generator.", 0, 2**31 - 1)] = 1988
    speed: Annotated[float, _number("Market seconds a real second.", 0.1, 3600)] = 60.0
    symbols: Annotated[
        tuple[str, ...], _text("Symbols it offers; empty means its own choice.")
    ] = ()
    live: Annotated[
        Literal["", "bybit"],
        _text(
            "Venue whose public stream gives the prices: paper trading on real ones, at speed 1."
        ),
    ] = ""
    replay: Annotated[
        tuple[str, ...], _text("Files of real candles to replay in place of the generator.")
    ] = ()


class Notify(_Section, frozen=True):
    """The channels by which people are told; what they are told is ``alerts`` of the settings."""

    urls: Annotated[
        tuple[str, ...],
        _secret(
            "Apprise URLs; separated by spaces in the environment or file.",
            "BOT_NOTIFY_URLS",
            "notify.urls_file",
        ),
    ] = ()
    urls_file: Annotated[
        str,
        _text(
            "File that holds the Apprise URLs: ours, mode 0400; or the name of a systemd credential."
        ),
    ] = ""
    critical_urls: Annotated[
        tuple[str, ...],
        _secret(
            "Apprise URLs of the second channels: told of a critical that nobody acknowledges.",
            "BOT_NOTIFY_CRITICAL_URLS",
            "notify.critical_urls_file",
        ),
    ] = ()
    critical_urls_file: Annotated[
        str, _text("File that holds the second channels' URLs, by the same rules.")
    ] = ""
    timeout_real_seconds: Annotated[
        float, _number("A channel that did not take a message within this has failed.", 0.5, 120)
    ] = 10.0


class Store(_Section, frozen=True):
    """Limits of the writer."""

    batch_max: Annotated[int, _number("Events in one transaction, at most.", 1, 10_000)] = 256
    queue_max: Annotated[
        int, _number("Events waiting for the reactor, at most.", 100, 1_000_000)
    ] = 20_000


class Deadman(_Section, frozen=True):
    """The dead-man: a program beside the bot that acts when its heartbeat stops."""

    warn_real_seconds: Annotated[
        float, _number("Silence after which people are told, real s.", 3, 3_600)
    ] = 30
    cancel_real_seconds: Annotated[
        float,
        _number("Silence after which HALT is set and entries are cancelled, real s.", 5, 86_400),
    ] = 90
    flatten_real_seconds: Annotated[
        float,
        _number(
            "Silence after which positions are closed, real s; 0 keeps them under their stops.",
            0,
            604_800,
        ),
    ] = 0
    end_hung: Annotated[
        bool, _text("End a bot that hangs before its entries are cancelled, so that they stay so.")
    ] = True
    key_file: Annotated[
        str,
        _text(
            "File that holds the dead-man's own API key: ours, mode 0400; or the name of a systemd credential."
        ),
    ] = ""
    secret_file: Annotated[
        str,
        _text(
            "File that holds the dead-man's own API secret: ours, mode 0400; or the name of a systemd credential."
        ),
    ] = ""
    key: Annotated[
        str, _secret("The dead-man's own API key.", "BOT_DEADMAN_KEY", "deadman.key_file")
    ] = ""
    secret: Annotated[
        str, _secret("The dead-man's own API secret.", "BOT_DEADMAN_SECRET", "deadman.secret_file")
    ] = ""


class Metrics(_Section, frozen=True):
    """Where Prometheus finds the metrics; both ways are off unless named."""

    host: Annotated[str, _text("Loopback address of the endpoint.")] = "127.0.0.1"
    port: Annotated[int, _number("Port of the endpoint; 0 is off.", 0, 65_535)] = 0
    textfile: Annotated[
        str, _text("File for node_exporter's textfile collector, ending in .prom; empty is off.")
    ] = ""
    every_real_seconds: Annotated[
        float, _number("The database is read for the metrics at most this often, real s.", 1, 300)
    ] = 15


class Log(_Section, frozen=True):
    """What the running process writes to stderr."""

    format: Annotated[
        Literal["auto", "json", "text"],
        _text("json: one object a line; text: for a person; auto: text at a terminal, else json."),
    ] = "auto"
    repeat_real_seconds: Annotated[
        float, _number("The same line is written once in this time, with its count, real s.", 1, 60)
    ] = 1
    queue_max: Annotated[
        int, _number("Lines that wait for whoever reads them, at most.", 100, 100_000)
    ] = 10_000


class Training(_Section, frozen=True):
    """The trainer: a process of its own beside the bot."""

    rows_max: Annotated[
        int, _number("Candles of all symbols that a model may learn from.", 500, 5_000_000)
    ] = 200_000
    rows_min: Annotated[int, _number("Usable candles that it needs at least.", 100, 1_000_000)] = (
        1_000
    )
    horizon: Annotated[
        int, _number("Candles ahead that a label looks; also the embargo.", 1, 1_440)
    ] = 30
    cost: Annotated[
        float, _number("Costs of a round trip, as a fraction of its value.", 0, 0.05)
    ] = 0.0012
    holdout: Annotated[
        float, _number("Newest share of the time that only measures the model.", 0.1, 0.5)
    ] = 0.25
    penalty: Annotated[
        float, _number("C of the logistic regression: smaller is more regular.", 1e-6, 1e6)
    ] = 0.1
    retries: Annotated[int, _number("Further attempts, each with half the candles.", 0, 2)] = 2
    attempt_real_seconds: Annotated[float, _number("An attempt is ended after this.", 1, 7_200)] = (
        600.0
    )
    memory_mb: Annotated[int, _number("Address space of the process, MiB.", 256, 65_536)] = 2_048
    nice: Annotated[int, _number("Niceness of the process.", 0, 19)] = 19
    free_mb: Annotated[
        int, _number("Free disk space that writing a model asks for, MiB.", 16, 100_000)
    ] = 128


class Watchdog(_Section, frozen=True):
    """How long each part of a bot may stand still before its service manager is to end it."""

    loop_real_seconds: Annotated[
        float, _number("The asyncio loop turns within this, real s.", 1, 60)
    ] = 10
    reactor_real_seconds: Annotated[
        float, _number("The reactor's thread turns within this, real s.", 1, 60)
    ] = 10
    commit_real_seconds: Annotated[
        float,
        _number(
            "A transaction is committed within this, real s; the reactor gives up at 60.", 65, 600
        ),
    ] = 75
    feed_real_seconds: Annotated[
        float, _number("Quotes come, or a connection is tried, within this, real s.", 60, 600)
    ] = 90
    stops_real_seconds: Annotated[
        float,
        _number(
            "Stops and positions are compared, or that is tried, within this, real s.", 240, 3_600
        ),
    ] = 300
    boot_real_seconds: Annotated[
        float, _number("A database is opened, migrated, and read within this, real s.", 30, 86_400)
    ] = 900


class Watch(_Section, frozen=True):
    """How often the bot looks at what nothing else tells it of."""

    clock_real_seconds: Annotated[
        float, _number("The venue's clock is asked for this often, real s.", 1, 60)
    ] = 10
    listing_real_seconds: Annotated[
        float, _number("What the venue lists is read anew this often, real s.", 1, 86_400)
    ] = 4 * 3_600
    storage_real_seconds: Annotated[
        float,
        _number(
            "The disk is measured, and the database's files seen to, this often, real s.", 1, 300
        ),
    ] = 30
    halt_real_seconds: Annotated[
        float, _number("The HALT mark and panic's lines are looked for this often, real s.", 0.1, 5)
    ] = 1


class Upgrade(_Section, frozen=True):
    """The two-step upgrade: how fresh its check is, and how its new build proves itself."""

    fresh_hours: Annotated[
        float, _number("A check is good for `upgrade apply` this long, real h.", 0.1, 168)
    ] = 24
    replay_events: Annotated[
        int, _number("Newest events that a check decides anew and compares.", 100, 1_000_000)
    ] = 20_000
    stop_real_seconds: Annotated[
        float, _number("A running bot that is asked to stop is gone within this, real s.", 1, 600)
    ] = 120
    start_real_seconds: Annotated[
        float, _number("The new build is RUNNING within this, or is rolled back, real s.", 1, 3_600)
    ] = 180
    health_real_seconds: Annotated[
        float, _number("It is well for this long before it is confirmed, real s.", 1, 3_600)
    ] = 60


class Edge(Struct, frozen=True):
    """The sections that decisions do not read."""

    venue: Venue = Venue()
    exchange: Exchange = Exchange()
    notify: Notify = Notify()
    store: Store = Store()
    deadman: Deadman = Deadman()
    metrics: Metrics = Metrics()
    log: Log = Log()
    training: Training = Training()
    watchdog: Watchdog = Watchdog()
    watch: Watch = Watch()
    upgrade: Upgrade = Upgrade()


class Config(Edge, frozen=True):
    """All there is to configure; ``settings`` is what decisions read."""

    settings: Settings = Settings()

    def value(self, key: str) -> Any:
        """Return the value of a dotted key such as ``guard.window`` or ``venue.env``."""
        section, _, name = key.partition(".")
        return (
            getattr(getattr(self, section), name)
            if section in EDGE
            else value_of(self.settings, key)
        )


FIELDS: dict[str, tuple[Any, Meta]] = {
    key: (hint, meta) for kind in (Settings, Edge) for key, hint, meta in keys(kind)
}
"""Every dotted key of ``bot.toml`` with its annotated type and its description."""

EDGE = Edge.__struct_fields__
"""The sections that decisions do not read."""

SECTIONS = tuple(dict.fromkeys(key.partition(".")[0] for key in FIELDS if "." in key))
"""Every section of ``bot.toml``."""


def is_secret(meta: Meta) -> bool:
    """Tell whether a key holds a secret, which is never shown."""
    return "variable" in (meta.extra or {})


def sources(meta: Meta) -> tuple[str, str]:
    """Return the environment variable and the key of the file that hold a secret."""
    extra = meta.extra or {}
    return extra["variable"], extra["file"]
