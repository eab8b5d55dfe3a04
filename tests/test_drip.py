"""A server that sends a byte now and then holds no run: an answer may take four timeouts in all, whoever asks."""

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import pytest
import requests

from db.errors import SourceUnavailable
from db.records import Position
from jobs.collector import Checker, Collector
from models.brand import Brand
from models.query import parse
from monitor import plugins
from monitor.collectors.adapter import Timely
from monitor.collectors.deadline import Deadline
from monitor.collectors.once import Once
from tests.fake_drip import Dripping
from tests.fake_services import FakeService, Play
from tests.fake_youtube import KEY
from tests.test_contracts import NoMoney

BRANDS = [Brand("Acme", parse("#acme"))]
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
TIMEOUT = 0.1  # seconds
AT_ONCE = 4 * TIMEOUT  # that an answer may take
MOST = 10.0  # seconds, on a busy machine: it would be minutes


def options(kind: str, url: str) -> Mapping[str, Any]:
    app = {"client_id": "a", "client_secret": "b", "subreddits": ["acme"], "reddit_url": url, "oauth_url": url}
    given: dict[str, Mapping[str, Any]] = {
        "appstore": {"app_id": [123], "base_url": url},
        "bluesky": {"handle": "a.example", "app_password": "word", "stream": False, "service_url": url},
        "feed": {"urls": [f"{url}/feed"]},
        "hackernews": {"api_url": url, "item_url": url},
        "mastodon": {"instance": url, "access_token": "word"},
        "reddit": app,
        "x": {"bearer_token": "word", "api_url": url},
        "youtube": {"api_key": KEY, "videos": ["dQw4w9WgXcQ"], "api_url": url},
    }
    return {**given[kind], "timeout": TIMEOUT}


KINDS = ("appstore", "bluesky", "feed", "hackernews", "mastodon", "reddit", "x", "youtube")


def made(kind: str, given: Mapping[str, Any]) -> Collector:
    found = plugins.load(third_party=False).collectors[kind]
    return found.build(found.options.model_validate(given), BRANDS)


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    for library in ("atproto", "googleapiclient.discovery", "httpx", "mastodon", "praw", "tweepy", "websockets"):
        importlib.import_module(library)  # takes seconds, which are not the server's


@pytest.fixture(autouse=True)
def no_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # a client library's between its own tries


def read(collector: Collector) -> None:
    for stream in collector.streams()[:1]:
        list(collector.collect(stream, Position(), NoMoney(), NOW))


def held(call: Callable[[], object]) -> tuple[Exception | None, float]:
    """Return what was raised, and after how many seconds; a call that does not end is given up."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            call()
        except Exception as error:
            raised.append(error)

    began = monotonic()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(MOST)
    assert not thread.is_alive(), "it is held"
    return (raised[0] if raised else None), monotonic() - began


@pytest.fixture(params=["head", "length of a part", "body without a length"])
def server(request: pytest.FixtureRequest) -> Iterator[Dripping]:
    with Dripping(request.param) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_that_drips_holds_a_run(kind: str, server: Dripping) -> None:
    error, seconds = held(lambda: read(made(kind, options(kind, server.url))))
    assert isinstance(error, SourceUnavailable), error
    assert server.asked
    assert seconds > AT_ONCE / 2


@pytest.mark.parametrize("how", ["head", "body"])
def test_neither_does_the_stream_of_bluesky(how: str) -> None:
    with Dripping(how) as server:
        given = {"jetstream_url": f"ws://127.0.0.1:{server.port}", "timeout": TIMEOUT, "listen": TIMEOUT}
        error, _ = held(lambda: read(made("bluesky", given)))
    assert isinstance(error, SourceUnavailable)


@pytest.mark.parametrize("kind", ["mastodon", "youtube", "hackernews"])
def test_an_answer_that_was_cut_short_says_of_no_post_that_it_is_gone(kind: str) -> None:
    with Dripping("a body of a 404") as server:
        collector = made(kind, options(kind, server.url))
        assert isinstance(collector, Checker)
        checker = collector
        post = {"mastodon": f"{server.url}/users/a/statuses/1", "youtube": "Ugxxxxxxxxxxxx", "hackernews": "9"}[kind]
        error, _ = held(lambda: checker.check([post], None, NoMoney(), NOW))
    assert isinstance(error, SourceUnavailable)
    assert server.asked


def test_a_stream_is_left_to_who_listens_once_its_head_is_there() -> None:
    with Dripping("body without a length") as server, requests.Session() as session:
        session.mount("http://", Timely(TIMEOUT))
        began = monotonic()
        with session.get(server.url, stream=True) as answer:
            while monotonic() - began < 2 * AT_ONCE:
                assert answer.raw.read(1)


def test_a_deadline_around_it_ends_a_stream_too() -> None:
    with Dripping("body") as server, requests.Session() as session:
        session.mount("http://", Timely(TIMEOUT))
        began = monotonic()
        with pytest.raises(requests.RequestException), Deadline(AT_ONCE):
            assert session.get(server.url, stream=True).content
        assert monotonic() - began < MOST


@pytest.mark.parametrize("how", ["head", "body"])
def test_a_reply_whose_answer_drips_may_have_been_sent(how: str) -> None:
    with Dripping(how) as server, requests.Session() as session:
        once = Once("/reply", TIMEOUT)
        session.mount("http://", once)
        with pytest.raises(requests.ReadTimeout):
            session.post(f"{server.url}/reply", data="text")
    assert once.left


def test_an_answer_in_time_is_whole() -> None:
    with FakeService(usual=Play(body=b"x" * 100_000)) as service, requests.Session() as session:
        session.mount("http://", Timely(5))
        assert [len(session.get(service.url).content) for _ in range(2)] == [100_000] * 2
