"""Contract VC-42 to VC-49: a key that may not trade is refused, and no secret is ever shown."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import msgspec
import pytest

from bot.edge.venues import asking
from bot.edge.venues.frames import Marks
from bot.edge.venues.keys import KeyInfo, key_warnings, why_not_key, why_not_trade
from bot.edge.venues.rest import Busy, Declined
from bot.edge.venues.send import send_order
from bot.edge.venues.stream import private_stream, public_stream
from bot.errors import BotError
from bot.store.database import open_reader
from tests.edge.worlds import Recorder, entry, running, spawn_exchange, stop_exchange, venue_at
from tests.venues.world import ORDER, POSITIONS, SYMBOL, WALLET, Scripted

CANARIES = ("canarykey7Q", "canarysong9Z")
KEY, SECRET = CANARIES
PATH = "/v5/user/query-api"
NOW = 1_800_000_000_000
GOOD = KeyInfo(
    uid="24617703",
    name="bot",
    read_only=False,
    rights=frozenset({"ContractTrade:Order", "ContractTrade:Position", "Spot:SpotTrade"}),
    ips=("203.0.113.7",),
    expires_at=0,
)


class Wanted(msgspec.Struct):
    env: str = "sim"
    account: str = ""


def info(**changes) -> KeyInfo:
    return msgspec.structs.replace(GOOD, **changes)


async def test_vc42_the_key_of_the_simulated_exchange_may_trade(world):
    async with world.venue() as venue:
        assert await why_not_trade(venue, Wanted()) == []
        found = await venue.key_info()
        assert found.uid
        assert not found.read_only


REFUSED = {
    "withdraw": (
        {"rights": GOOD.rights | {"Wallet:Withdraw"}},
        "expected a key that cannot withdraw, found the right Wallet:Withdraw",
    ),
    "read-only": (
        {"read_only": True},
        "expected a key that may trade, found one that is read-only",
    ),
    "no rights": (
        {"rights": frozenset({"Spot:SpotTrade"})},
        "expected the rights ContractTrade:Order, ContractTrade:Position, found Spot:SpotTrade",
    ),
    "ended": (
        {"expires_at": NOW - 1},
        "expected a key that is good for a day or more, found its end at 2027-01-15 07:59:59",
    ),
    "ends today": (
        {"expires_at": NOW + 86_399_999},
        "expected a key that is good for a day or more, found its end at 2027-01-16 07:59:59",
    ),
}


@pytest.mark.parametrize(("changes", "sentence"), REFUSED.values(), ids=REFUSED)
def test_vc43_a_key_that_may_do_too_much_or_too_little_is_refused(changes, sentence):
    assert why_not_key(GOOD, "linear", NOW) == []
    assert why_not_key(info(**changes), "linear", NOW) == [f"venue key: {sentence}"]


def test_vc44_a_key_of_any_address_is_worth_a_warning():
    assert key_warnings(GOOD) == []
    for ips in ((), ("*",), ("203.0.113.7", "*")):
        (warning,) = key_warnings(info(ips=ips))
        assert "any address" in warning


def one_way() -> Scripted:
    """A venue whose account has a position in one-way mode."""
    held = {"symbol": SYMBOL, "side": "Buy", "size": "1", "avgPrice": "3000", "positionIdx": 0}
    scripted = Scripted()
    scripted.ok(POSITIONS, list=[held])
    return scripted


def answer(**changes):
    row = {"readOnly": 0, "userID": 24617703, "note": "bot", "ips": ["203.0.113.7"]}
    row |= {"permissions": {"ContractTrade": ["Order", "Position"], "Wallet": []}}
    return row | {"expiredAt": "1970-01-01T00:00:00Z"} | changes


@pytest.mark.parametrize(
    ("wanted", "sentences"),
    [
        (Wanted("live", "24617703"), []),
        (Wanted("live", "bot"), []),
        (Wanted("sim", ""), []),
        (Wanted("live", ""), ["venue.account: expected 24617703 (bot), found nothing"]),
        (Wanted("live", "2461770"), ["venue.account: expected 24617703 (bot), found 2461770"]),
        (Wanted("demo", "other"), ["venue.account: expected 24617703 (bot), found other"]),
    ],
)
async def test_vc45_the_account_must_be_the_one_that_was_typed(wanted, sentences):
    scripted = one_way()
    scripted.ok(PATH, **answer())
    async with scripted.venue() as venue:
        assert await why_not_trade(venue, wanted) == sentences


async def test_vc46_everything_wrong_with_a_key_is_said_at_once():
    scripted = Scripted()
    rights = {"Wallet": ["Withdraw"], "ContractTrade": ["Order"]}
    scripted.ok(PATH, **answer(readOnly=1, permissions=rights, expiredAt="2020-01-01T00:00:00Z"))
    async with scripted.venue() as venue:
        assert len(await why_not_trade(venue, Wanted("live", "x"))) == 5


async def test_vc46_a_key_that_the_venue_refuses_is_a_sentence_and_no_answer_is_busy():
    scripted = Scripted()
    scripted.refuse(PATH, 33004, "Your api key has expired.")
    async with scripted.venue() as venue:
        (why,) = await why_not_trade(venue, Wanted())
        assert "33004 Your api key has expired." in why
        scripted.ok(PATH, readOnly=0)
        with pytest.raises(Busy):
            await why_not_trade(venue, Wanted())


async def test_vc47_the_rights_are_asked_for_once_in_ten_minutes_and_anew_at_start():
    scripted = one_way()
    scripted.ok(PATH, **answer())
    async with scripted.venue() as venue:
        assert await venue.key_info() == await venue.key_info()
        assert scripted.asked == [PATH]
        await why_not_trade(venue, Wanted())
        assert scripted.asked == [PATH, PATH, POSITIONS]


# -- no secret is shown ----------------------------------------------------------------------------


def hidden(text: str) -> None:
    assert KEY not in text
    assert SECRET not in text


async def test_vc48_no_error_text_shows_a_key_that_the_venue_repeats(monkeypatch):
    monkeypatch.setattr(asking, "PERSIST_REAL_SECONDS", 0.0)
    echo = f"error sign! origin_string[1700000000000{KEY}5000] {SECRET}"
    scripted, told = Scripted(), []
    async with scripted.venue(told.append, KEY, SECRET) as venue:
        for code in (10004, 10003, 110007, 10016, 10006, 990_001):
            for path in (WALLET, ORDER, "/v5/order/cancel"):
                scripted.refuse(path, code, echo)
            hidden(str(await send_order(venue, entry())))
            for ask in (venue.wallet, lambda: venue.cancel("a", SYMBOL)):
                with contextlib.suppress(BotError):
                    await ask()
                    continue
            try:
                await venue.wallet()
            except BotError as error:
                hidden("".join(traceback.format_exception(error)))
        scripted.answers[WALLET] = f"<html>{echo}".encode()
        with pytest.raises(BotError) as garbled:
            await venue.wallet()
        hidden(str(garbled.value))
        hidden(f"{venue!r} {venue.rest!r} {vars(venue.rest.ear)!r}")
    assert told
    hidden(repr(told))


async def test_vc48_nor_does_a_stream_or_a_venue_that_is_not_there(world):
    async with venue_at("http://127.0.0.1:1", "ws://127.0.0.1:1", SECRET) as venue:
        with pytest.raises(Busy) as unreachable:
            await venue.wallet()
        hidden(str(unreachable.value))
    post = Recorder()
    async with venue_at(world.exchange.url, world.exchange.ws_url, SECRET) as venue:
        await venue.sync_clock()
        for stream in (
            private_stream(venue, ["BTCUSDT"], post),
            public_stream(venue, ["BTCUSDT"], Marks(), post),
        ):
            async with running(stream):
                await post.until(lambda: post.events)
            hidden(repr(post.events) + repr(stream))
        with pytest.raises(Declined, match="10004"):
            await venue.wallet()


def moves(state: Path, machine: str) -> list[str]:
    """Where a machine of a stopped bot went."""
    reader = open_reader(state, alive=False)
    try:
        rows = reader.execute(
            "SELECT dest FROM transition WHERE machine = ? ORDER BY id", (machine,)
        )
        return [dest for (dest,) in rows]
    finally:
        reader.close()


def test_vc49_a_bot_that_trades_writes_its_secret_nowhere(tmp_path):
    """A whole bot with canaries for keys; every file that it wrote and all that it said is read."""
    (tmp_path / "venue").mkdir()
    (tmp_path / "bot").mkdir()
    process, exchange = spawn_exchange(
        tmp_path / "venue", "--speed", "60", "--key", KEY, "--secret", SECRET
    )
    try:
        (tmp_path / "bot" / "bot.toml").write_text(
            f'[venue]\nenv = "sim"\nrest_url = "{exchange.url}"\nws_url = "{exchange.ws_url}"\n'
            "dcp_seconds = 10\n"
        )
        environment = {**os.environ, "BOT_VENUE_KEY": KEY, "BOT_VENUE_SECRET": SECRET}
        environment["PYTHONPATH"] = str(Path.cwd())
        bot = subprocess.Popen(
            [sys.executable, "-m", "bot", "run", "--for", "6s"],
            cwd=tmp_path / "bot",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            said, _ = bot.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            bot.send_signal(signal.SIGKILL)
            said, _ = bot.communicate()
        assert bot.returncode == 0, said.decode()
        for once in (b"disconnect protection is not armed: ", b"found any address"):
            assert said.count(once) == 1, said.decode()
        assert moves(tmp_path / "bot" / "state.db", "breaker") == ["CLOSED"], "all else goes on"
    finally:
        stop_exchange(process)
    written = [path for path in (tmp_path / "bot").rglob("*") if path.is_file()]
    assert any(path.name == "state.db" for path in written)
    for text in (said, *(path.read_bytes() for path in written)):
        assert KEY.encode() not in text
        assert SECRET.encode() not in text
