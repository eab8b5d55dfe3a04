"""Mastodon's faults and limits: what ends a run, what makes it wait, what needs a person."""

import logging
import socket
from collections.abc import Iterator
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from db.errors import NotAuthorised, RateLimited, SourceUnavailable
from tests.fake_mastodon import TOKEN, FakeMastodon
from tests.mastodon_rig import HOUR, MINUTE, NOW, Reader, ago, collector, no_naps, options, run, searching, texts


@pytest.fixture
def server() -> Iterator[FakeMastodon]:
    with FakeMastodon() as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    no_naps(monkeypatch)


@pytest.mark.parametrize("fault", ["500", "502", "503", "504", "418", "html", "json", "drop", "cut", "slow"])
def test_a_fault_ends_the_run_and_the_next_one_goes_on(server: FakeMastodon, fault: str) -> None:
    reader = Reader(collector(server, timeout=0.3))
    server.post("#acme", at=ago(5))
    server.faults.append(fault)
    error = reader.run()
    assert isinstance(error, SourceUnavailable)
    assert server.host in str(error)
    assert len(server.requests) == 1
    assert reader.run() is None
    assert len(reader.stored) == 1


@pytest.mark.parametrize("fault", ["drip", "drip-chunked"])
def test_an_answer_that_comes_byte_by_byte_does_not_hold_up_the_source(server: FakeMastodon, fault: str) -> None:
    server.faults.append(fault)
    began = monotonic()
    with pytest.raises(SourceUnavailable, match="did not send all of its answer in 2 seconds"):
        run(collector(server, timeout=0.5))
    assert monotonic() - began < 4.5


def test_an_answer_beyond_all_pages_is_not_taken_in(server: FakeMastodon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.collectors.fetch.LARGEST", 1_000_000)
    server.post(f"#acme {'x' * 1_000_000}", at=ago(5))
    with pytest.raises(SourceUnavailable, match=f"{server.host} sent more than 1 MB"):
        run(collector(server))


@pytest.mark.parametrize("fault", ["500", "html", "json", "drop"])
def test_a_fault_of_the_search_is_no_empty_result(server: FakeMastodon, fault: str) -> None:
    server.faults.append(fault)
    with pytest.raises(SourceUnavailable):
        run(searching(server), "search:Acme")


def test_a_server_that_is_not_there_is_said_to_be(server: FakeMastodon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(SourceUnavailable, match=f"127.0.0.1:{port} did not answer"):
        run(collector(server, instance=f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("fault", "reset", "wait"),
    [
        ("429", (NOW + 4 * MINUTE).isoformat().replace("+00:00", "Z"), 4 * MINUTE),
        ("429", int((NOW + 3 * MINUTE).timestamp()), 3 * MINUTE),
        ("429", "soon", 15 * MINUTE),
        ("429:7", "9" * 400, timedelta(seconds=7)),
        ("429:7", (NOW - HOUR).isoformat(), timedelta(seconds=7)),
        ("429-bare", None, 15 * MINUTE),
        ("429:99999999999", "²", 15 * MINUTE),
    ],
)
def test_a_limit_is_a_wait(server: FakeMastodon, fault: str, reset: Any, wait: timedelta) -> None:
    source = collector(server)
    server.faults.append(fault)
    server.reset = reset
    with pytest.raises(RateLimited) as error:
        run(source)
    assert error.value.not_before == NOW + wait
    assert len(server.requests) == 1
    with pytest.raises(RateLimited):
        run(source, now=NOW + wait - timedelta(seconds=1))
    assert len(server.requests) == 1
    run(source, now=NOW + wait)
    assert len(server.requests) == 2


def test_the_limit_is_kept_ahead_of_time(server: FakeMastodon) -> None:
    server.reset = (NOW + 5 * MINUTE).isoformat()
    reader = Reader(collector(server))
    server.post("#acme", at=ago(90))
    reader.run()
    for n in range(150):
        server.post(f"#acme {n}", at=ago(80) + n * timedelta(seconds=1))
    server.remaining = 2
    error = reader.run()
    assert isinstance(error, RateLimited)
    assert error.not_before == NOW + 5 * MINUTE
    assert len(reader.stored) == 81  # the page that used up the limit is kept
    assert "429" not in [request.answer for request in server.requests]
    server.remaining = 300
    assert reader.run(NOW + 5 * MINUTE) is None
    assert len(reader.stored) == 151


@pytest.mark.parametrize("reset", ["nonsense", "", "1e999", "0"])
def test_an_odd_reset_time_is_no_fault(server: FakeMastodon, reset: str) -> None:
    server.post("#acme", at=ago(5))
    server.reset = reset
    assert len(texts(run(collector(server)))) == 1


@pytest.mark.parametrize(
    ("token", "fault", "told"),
    [
        (TOKEN, "401", "refuses the access token"),
        (TOKEN, "403", "refuses the access token"),
        (None, "401", "add an `access_token`"),
        (None, "422", "add an `access_token`"),
        (None, "404", "check `instance`"),
        (None, "410", "check `instance`"),
    ],
)
def test_what_a_person_must_mend_pauses_the_source(
    server: FakeMastodon, token: str | None, fault: str, told: str
) -> None:
    server.faults.append(fault)
    with pytest.raises(NotAuthorised, match=told):
        run(collector(server, access_token=token))


def test_a_wrong_token_is_refused_and_never_told(server: FakeMastodon, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotAuthorised) as error:
        run(collector(server, access_token="wrong-secret"))
    for text in (str(error.value), repr(error.value.__cause__), caplog.text, repr(options(server, access_token=TOKEN))):
        assert "wrong-secret" not in text
        assert TOKEN not in text
