"""What goes wrong at the venue, on the way to it, and by other hands, is found and told of by name."""

import json
import os
import signal
import sys
from decimal import Decimal

import pytest

from bot.core.values import Side
from bot.edge.files import Halt
from bot.edge.venues.send import send_order
from tests.edge.worlds import entry
from tests.faults.places import Place, until
from tests.faults.seen import Since, asked

SPEED = 60
TRADED = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT"]
QUIET, UNTRADED = "DOGEUSDT", "ADAUSDT"
CONFIG = {
    "exchange": {"speed": SPEED, "seed": 7},
    "market": {"symbols": TRADED},
    "watch": {"clock_real_seconds": 2.0, "listing_real_seconds": 2.0},
    "strategy": {"ema_fast": 12, "ema_slow": 26, "adx_period": 5, "cross_age_max": 100},
    "feed": {"stale_seconds": 60, "stale_real_seconds": 1.5},
    "guard": {"doubt_reduced_real_seconds": 0.5, "doubt_paused_real_seconds": 1.5},
    "orders": {
        "troubles_max": 2,
        "breaker_real_seconds": 1.0,
        "naked_real_seconds": 0.5,
        "reconcile_real_seconds": 5.0,
    },
    "healing": {"enabled": False},  # what is found is told, not what was tried: that is elsewhere
    "alerts": {"storm_max": 1000, "window_real_seconds": 1.0},
    "health": {
        "fast_real_seconds": 1.0,
        "confirm": 1,
        "doubt_real_seconds": 1.0,
        "naked_real_seconds": 1.0,
        "lag_ms": 9_000.0,
        "turn_ms": 9_000.0,
    },
}
CREATE, PROTECT, POSITIONS = "/v5/order/create", "/v5/position/trading-stop", "/v5/position/list"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A bot that trades on a market that is well; each test breaks one thing and mends it."""
    made = Place(tmp_path_factory.mktemp("venue") / "p", CONFIG)
    try:
        made.start_exchange("--symbols", ",".join([*TRADED, UNTRADED]))
        command = [sys.executable, "-m", "tests.faults.hosted"]
        made.bot = made._spawn([*command, str(made.state), str(made.file), "300"], "bot.out")
        made.until_state("process", "RUNNING")
        for symbol in TRADED:
            made.until_state("feed", "LIVE", key=symbol)
        yield made
        made.bot.send_signal(signal.SIGTERM)
        assert made.bot.wait(40) == 0, made.said()
    finally:
        made.close()


def exchange_pid(place) -> int:
    return int(json.loads((place.folder / "exchange.port").read_bytes())["pid"])


STANDING = {"breaker": "CLOSED", "reconciliation": "CLEAN", "guard": "NORMAL", "kill": "ARMED"}


def unwell(place, standing):
    """Return what does not stand as it should before a test."""
    found = place.rows("SELECT machine, key, state FROM instance")
    return [row for row in found if standing.get(row[0], row[2]) != row[2]]


def until_well(place, **more):
    standing = {**STANDING, "feed": "LIVE", **more}
    until(lambda: not unwell(place, standing), lambda: f"well; {unwell(place, standing)}", 30)


@pytest.fixture
def place(running):
    until_well(running)
    yield running
    running.control("clear")


def read_anew(place, symbol=QUIET, qty="100"):
    """Have the bot read its account now: it does whenever an order rests that it does not know."""

    async def rests(venue):
        (listed,) = await venue.instruments([symbol])
        price = listed.round_price(await venue.mark(symbol) * 0.8)
        order = entry(qty, symbol, Side.BUY, price=price)
        assert (await send_order(venue, order)).kind == "ACK"
        return order

    return asked(place, rests)


@pytest.fixture
def since(place):
    return Since(place)


# -- the first orders: what is flat is entered soon -------------------------------------------------


def in_doubt(place):
    """Have the venue lose orders before it takes them, and not say what became of them."""
    place.control("fault", kind="drop", match=CREATE, when="before", probability=1.0, seed=4)
    for path in ("/v5/order/realtime", "/v5/order/history"):
        place.control("fault", kind="garble", match=path, how="json", probability=1.0, seed=5)


def test_an_order_whose_outcome_nobody_tells_lowers_the_guard_and_keeps_a_kill_from_showing(
    place, since
):
    in_doubt(place)
    order = since.moved("order", "INTENDED", "UNKNOWN")
    since.moved("guard", "NORMAL", "REDUCED", "the outcome of ", "is unknown for ")
    since.moved("guard", "REDUCED", "PAUSED", "the outcome of ", "is unknown for ")
    since.told("warning", "guard", "guard leaves REDUCED: the outcome of ", "is unknown for ")
    since.moved("check", "SUSPECT", "ESCALATED", "the outcome of ", "limit 1", key="doubt")
    since.told("warning", "check", "check doubt: the outcome of ", "is unknown for ")
    since.shown("guard account is PAUSED: the outcome of ")
    place.ask("kill")
    since.moved("kill", "ARMED", "TRIPPED")
    place.control("jump", seconds=31 * SPEED)  # the time that a kill has to show
    since.moved("run", "VERIFYING", "ESCALATED", "kill could not be verified in time")
    since.told("critical", "not-verified", "kill by ", "is not verified: look now")
    since.shown("kill account is TRIPPED: ")
    place.control("clear")
    since.moved("order", "UNKNOWN", "LOST", key=order)
    since.moved("guard", "PAUSED", "NORMAL", "no outcome is unknown")
    since.moved("kill", "TRIPPED", "LATCHED", key="account")
    until(lambda: place.do("rearm")["state"] == "DONE", "a person re-arms it")


# -- requests --------------------------------------------------------------------------------------

REFUSALS = {
    "maintenance": ("maintenance: ", {"kind": "maintenance"}),
    "a gateway without the venue": (
        "maintenance: ",
        {"kind": "http_status", "match": "/v5/market", "status": 503},
    ),
    "rate limit": ("throttled: ", {"kind": "ret_code", "match": "/v5/", "code": 10006}),
    "ban": ("banned: ", {"kind": "http_status", "match": "/v5/market", "status": 403}),
    "cut connections": ("2 requests in a row failed: ", {"kind": "drop", "match": "/v5/"}),
    "answers that are no JSON": (
        "2 requests in a row failed: ",
        {"kind": "garble", "match": "/v5/", "how": "json"},
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_venue_that_does_not_serve_opens_the_breaker_until_it_does(place, since, what):
    why, fault = REFUSALS[what]
    lasts = {} if fault["kind"] == "maintenance" else {"probability": 1.0, "seed": 1}
    place.control("fault", **fault, **lasts)
    since.moved("breaker", "CLOSED", "OPEN", why)
    since.told(
        "warning", "venue-away", f"the venue does not serve us ({why}", "no entries until it does"
    )
    since.shown("breaker account is ", why)
    place.control("clear")
    since.moved("breaker", "HALF_OPEN", "CLOSED", "the venue answers")
    since.told("info", "", "the venue answers again: entries may go on")


# -- other orders ----------------------------------------------------------------------------------


def test_an_order_of_somebody_else_keeps_the_bot_out_of_its_symbol_while_it_is_there(place, since):
    order = read_anew(place)
    since.moved("external", "", "EXTERNAL", "1 that are not ours: ", order.order, key=QUIET)
    since.told("warning", "not-ours", f"{QUIET}: open orders, 1 that are not ours: ")
    since.shown(f"external {QUIET} is EXTERNAL: 1 that are not ours")
    asked(place, lambda venue: venue.cancel(order.order, QUIET))
    read_anew(place, "ETHUSDT", "0.1")
    since.moved("external", "EXTERNAL", "GONE", "none open any more", key=QUIET)


def test_an_answer_of_a_code_that_nobody_knows_is_told(place, since):
    wallet = "/v5/account/wallet-balance"
    place.control("fault", kind="ret_code", match=wallet, code=987654, message="surprise", count=1)
    read_anew(place)
    since.told("warning", "unseen-code", "the venue said something new: ", "surprise")
    since.moved("alert", "", "RAISED", "unseen code ")


def test_a_key_that_the_venue_refuses_holds_everything_until_a_person_looks(place, since):
    place.control("fault", kind="ret_code", match=POSITIONS, code=33004, message="expired", count=1)
    read_anew(place)
    since.moved("breaker", "CLOSED", "OPEN", "key: ", "expired")
    since.moved("hold", "FREE", "HELD", "key: ", "expired")
    since.told("critical", "hold", "entries held: ", "expired")
    since.shown("hold account is HELD: key: ")
    until(lambda: place.do("release")["state"] == "DONE", "a person releases it")


# -- streams and time ------------------------------------------------------------------------------


def test_streams_that_are_cut_and_refused_are_told_and_come_back(place):
    until_well(place, check="WELL")
    since = Since(place)
    for path in ("/v5/private", "/v5/public"):
        place.control("fault", kind="http_status", match=path, status=503, seed=2, probability=1.0)
        place.control("fault", kind="cut", match=path, count=1, seed=3)
    for stream in ("private", "public"):
        since.moved("check", "SUSPECT", "ESCALATED", f"the {stream} stream is down: ")
        since.told("warning", "check", f"check streams {stream}: the {stream} stream is down: ")
    since.moved("feed", "LIVE", "STALE", "the public stream is down: ")
    since.shown("streams public: the public stream is down")
    since.shown("the bot allows only REDUCE_ONLY: the private stream is down: ")
    place.control("clear")
    for stream in ("private", "public"):
        since.moved("check", "ESCALATED", "WELL", f"the {stream} stream is up")
        since.told("info", "", f"check streams {stream} is well again")


def test_an_exchange_that_hangs_with_its_connections_open_makes_every_feed_stale(place):
    until_well(place, check="WELL")
    since, pid = Since(place), exchange_pid(place)
    os.kill(pid, signal.SIGSTOP)
    try:
        for symbol in TRADED:
            since.moved("feed", "LIVE", "STALE", "no quote for ", key=symbol)
        since.told(
            "warning", "check", "check streams public: the public stream is down: it is silent"
        )
        since.shown("feed BTCUSDT is STALE: no quote for ")
    finally:
        os.kill(pid, signal.SIGCONT)
    for symbol in TRADED:
        place.until_state("feed", "LIVE", key=symbol)


def test_a_venue_whose_clock_goes_back_makes_every_feed_prove_itself_again(place, since):
    place.control("fault", kind="clock", ms=-900_000)
    since.moved("feed", "LIVE", "GAPPED", "the venue's clock jumped by -")
    since.told(
        "warning", "clock", "the venue's clock jumped by -", "no entries until feeds are whole"
    )
    place.control("clear")
    for symbol in TRADED:
        place.until_state("feed", "LIVE", key=symbol)


def test_a_symbol_that_is_no_longer_listed_is_held(place, since):
    place.control("fault", kind="delist", symbol=QUIET)
    since.moved("hold", "", "HELD", "instrument: no longer listed", key=QUIET)
    since.told("critical", "hold", f"entries held in {QUIET}: no longer listed")
    since.shown(f"hold {QUIET} is HELD: instrument: no longer listed")


# -- other hands -----------------------------------------------------------------------------------


def size(place, symbol):
    """Return how much of a symbol is open at the venue."""
    return place.control("state")["positions"].get(symbol, "0").lstrip("-")


def flattened(place, symbol):
    """Hold a symbol and close what is open in it, so that the rest of a test knows what there is."""
    if place.state_of("hold", symbol) != "HELD":
        place.do("hold", symbol=symbol)
    place.do("flatten", symbol=symbol)
    place.until_state("position", "FLAT", key=symbol)


def risen(place, symbol):
    """Move the market of a symbol up: the strategy has nothing against a long position in it."""
    newest = "SELECT close FROM candle WHERE symbol = ? ORDER BY open_time DESC LIMIT 1"
    before = place.rows(newest, symbol)[0][0]
    place.control("price", symbol=symbol, factor=1.05)
    until(lambda: place.rows(newest, symbol)[0][0] > before * 1.03, "a candle closes higher")


def test_an_execution_of_somebody_else_is_kept_as_a_position_and_a_stop_it_cannot_get_is_told(
    place, since
):
    flattened(place, QUIET)
    risen(place, QUIET)
    place.control("fault", kind="ret_code", match=PROTECT, code=10001, probability=1.0, seed=6)
    asked(place, lambda venue: send_order(venue, entry("500", QUIET, Side.BUY)))
    since.moved("position", "FLAT", "OPEN", "500 at ", key=QUIET)
    since.told("warning", "not-ours", "Buy 500 DOGEUSDT at ", "was not ours", "it is booked")
    since.moved("check", "SUSPECT", "ESCALATED", "the venue confirmed no stop for ")
    since.told("critical", "check", f"check stops {QUIET}: the venue confirmed no stop for ")
    since.shown(f"stops {QUIET}: the venue confirmed no stop for ")
    place.control("clear")
    since.moved("check", "ESCALATED", "WELL", "the venue holds the stop ", key=f"stops {QUIET}")


def test_a_position_that_cannot_be_closed_calls_people_and_is_tried_on(place, since):
    asked(place, lambda venue: send_order(venue, entry("500", QUIET, Side.BUY)))
    place.until_state("position", "OPEN", key=QUIET)
    place.control("fault", kind="ret_code", match=CREATE, code=110007, probability=1.0, seed=7)
    place.ask("flatten", symbol=QUIET)
    since.moved("position", "OPEN", "CLOSING", key=QUIET)
    since.moved("order", "INTENDED", "REJECTED", "110007: ")
    since.moved("position", "CLOSING", "OPEN", "the exit ended with a rest still open", key=QUIET)
    since.told("critical", "cannot-close", f"{QUIET} could not be closed in 3 attempts (", "look")
    by_hand = entry(size(place, QUIET), QUIET, Side.SELL, reduce_only=True)
    place.control("clear")
    asked(place, lambda venue: send_order(venue, by_hand))
    place.until_state("position", "FLAT", key=QUIET)


def test_cash_that_leaves_the_account_is_told_and_moves_the_baselines(place, since):
    place.control("fault", kind="balance", amount="-1234.5")
    read_anew(place)
    since.told("warning", "transfer", "1234.5 USDT left the account (TRANSFER_OUT): the baselines")
    since.moved("alert", "", "RAISED", "transfer ")


# -- the worst -------------------------------------------------------------------------------------


def test_the_mark_of_a_person_who_only_reaches_the_files_trips_the_kill_switch(place, since):
    Halt(place.folder / "HALT").set("ana", "the link is bad")
    since.moved("kill", "ARMED", "TRIPPED", "HALT mark set by ana: the link is bad")
    since.told("critical", "kill", "kill switch tripped (account): HALT mark set by ana")
    since.shown("kill account is ", "HALT mark set by ana")
    since.moved("kill", "TRIPPED", "LATCHED")
    until(lambda: place.do("rearm")["state"] == "DONE", "a person re-arms it")


def test_a_loss_beyond_the_limits_trips_the_kill_switch_and_pauses_the_guard(place, since):
    async def deep(venue):
        (listed,) = await venue.instruments([QUIET])
        qty = listed.round_qty(
            Decimal(await venue.wallet()) / Decimal(str(await venue.mark(QUIET)))
        )
        return await send_order(venue, entry(f"{qty:f}", QUIET, Side.BUY))

    assert asked(place, deep).kind == "ACK"
    since.moved("position", "FLAT", "OPEN", key=QUIET)
    place.control("price", symbol=QUIET, factor=0.85)
    since.moved("kill", "ARMED", "TRIPPED", "daily loss ", "at limit 4.00%")
    since.told("critical", "kill", "kill switch tripped (account): daily loss ", "at limit 4.00%")
    since.moved("guard", "NORMAL", "PAUSED", "drawdown ", "over 10.00%")
    since.told("warning", "guard", "guard leaves NORMAL: drawdown ", "over 10.00%")
    since.shown("kill account is ", "daily loss ")


def test_a_position_that_the_ledger_does_not_explain_holds_the_account(running):
    place, since = running, Since(running)
    asked(place, lambda venue: send_order(venue, entry("100", UNTRADED, Side.BUY)))
    read_anew(place)
    since.moved("reconciliation", "CLEAN", "DRIFT")
    since.moved("reconciliation", "DRIFT", "RESOLVING")
    place.control("jump", seconds=21 * SPEED)  # the venue's lists were given their time
    since.moved("reconciliation", "RESOLVING", "MISMATCH", key="account")
    since.moved("hold", "FREE", "HELD", "reconciliation: ", f"{UNTRADED} 100 is open at the venue")
    since.told("critical", "hold", "entries held: ", f"{UNTRADED} 100 is open", "not traded here")
    since.shown("hold account is HELD: reconciliation: ")
