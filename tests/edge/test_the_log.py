"""The log: lines of JSON, none twice in a moment, none with a secret, and nobody waits for a reader."""

from __future__ import annotations

import io
import json
import os
import threading
from contextlib import contextmanager

import pytest

from bot.edge import log as module
from bot.edge.clock import time_from
from bot.edge.log import Log, url_secrets

SECOND = 1_000_000_000
FAILED = {"seq": 1, "machine": "delivery", "key": "7-0", "dest": "RETRY", "reason": "no route"}


class Told:
    """A log on a string, with a clock that a test moves."""

    def __init__(self, **more):
        self.stream, self.ns = io.StringIO(), SECOND
        self.log = Log(1.0, 100, stream=self.stream, **more)

    @contextmanager
    def clock(self):
        with time_from(lambda: self.ns, lambda: self.ns):
            yield self

    @property
    def lines(self):
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def told():
    with Told().clock() as told:
        yield told


def test_a_line_is_one_object_with_when_how_bad_and_what(told):
    told.log.line("warning", FAILED)
    (line,) = told.lines
    assert line == {"wall": "1970-01-01T00:00:01.000+00:00", "level": "warning", **FAILED}


def test_the_same_is_written_once_in_a_while_with_its_count(told):
    for seq in range(5):
        told.log.line("warning", {**FAILED, "seq": seq})
    told.log.line("warning", {**FAILED, "key": "8-0"})
    told.ns += SECOND
    told.log.line("warning", {**FAILED, "seq": 9})
    told.ns += SECOND
    told.log.line("warning", {**FAILED, "seq": 10})
    mine = [(x["seq"], x.get("repeated")) for x in told.lines if x["key"] == "7-0"]
    assert mine == [(0, None), (9, 4), (10, None)]
    assert sum(x["key"] == "8-0" for x in told.lines) == 1


def test_what_was_counted_is_told_though_it_does_not_come_again(told):
    told.log.line("warning", FAILED)
    told.log.line("warning", {**FAILED, "seq": 2})
    told.ns += SECOND
    told.log.line("info", {"said": "something else"})
    told.log.line("info", {"said": "something else"})
    assert [(x.get("seq"), x.get("repeated")) for x in told.lines] == [
        (1, None),
        (2, None),
        (None, None),
    ]
    told.log.close()
    assert [line.get("said") for line in told.lines[2:]] == ["something else"] * 2


def test_a_million_identical_errors_stay_under_a_megabyte(told):
    line = told.log.line
    for seq in range(1_000_000):
        if not seq % 1000:
            told.ns += SECOND  # a thousand a second, for a thousand seconds
        line("error", {"said": "the venue does not answer: connection refused", "seq": seq})
    told.log.close()
    assert len(told.stream.getvalue()) < 1_000_000
    assert sum(1 + x.get("repeated", 0) for x in told.lines) == 1_000_000, "all are counted"


def test_what_is_remembered_has_an_end(told):
    for number in range(5_000):
        told.log.line("error", {"said": f"another one: {number}"})
    assert len(told.lines) == 5_000
    assert len(told.log._said) <= module.REMEMBERED_MAX


SECRET = 'canary"\\ü-1'  # what JSON writes in another way
FIRST = "p%40ssw0rd"
URLS = (f"json://anna:{FIRST}@127.0.0.1:9/notify", "discord://1234567890123/aVeryLongToken_xyz")


@pytest.mark.parametrize(
    "text",
    [SECRET, FIRST, "p@ssw0rd", "aVeryLongToken_xyz", "1234567890123", *URLS],
)
def test_no_secret_gets_into_a_line(text):
    told = Told(secrets=(SECRET, *url_secrets(URLS)))
    told.log.line("error", {"said": f"cannot reach {text}, notify again", "nested": (text,)})
    (line,) = told.lines
    assert text not in str(line)
    assert line["said"] == "cannot reach (hidden), notify again"


def test_words_and_hosts_are_not_taken_for_secrets():
    told = Told(secrets=("", "key", *url_secrets(["mailto://mail.example.com/notify?to=ops"])))
    told.log.line("info", {"said": "the key of mail.example.com may notify ops"})
    assert told.lines[0]["said"] == "the key of mail.example.com may notify ops"


# -- the thread that writes ------------------------------------------------------------------------


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w", buffering=1) as writer:
        yield reader, writer


def test_nobody_waits_for_a_reader_that_does_not_read(pipe):
    reader, writer = pipe
    log = Log(1.0, 100, stream=writer)
    log.start()
    for number in range(3_000):  # far more than a pipe holds
        log.line("info", {"said": f"{number} {'x' * 200}"})
    assert log.dropped > 0
    read = []
    thread = threading.Thread(target=lambda: read.extend(iter(reader.readline, b"")))
    thread.start()
    log.close()
    writer.close()
    thread.join(10)
    kept = [int(json.loads(line)["said"].split()[0]) for line in read]
    assert kept == sorted(kept)
    assert len(kept) + log.dropped == 3_000, "every line is written or counted"


class Gone(io.StringIO):
    def flush(self):
        raise BrokenPipeError


def test_a_reader_that_is_gone_is_no_trouble():
    log = Log(1.0, 100, stream=Gone())
    log.line("info", {"said": "hello"})
    log.close()
    assert log.dropped == 1


def test_close_writes_what_waits_and_what_is_said_later_comes_at_once(pipe):
    reader, writer = pipe
    log = Log(1.0, 100, stream=writer)
    log.start()
    log.line("info", {"said": "one"})
    log.close()
    log.line("info", {"said": "two"})
    writer.close()
    assert [json.loads(line)["said"] for line in reader] == ["one", "two"]
