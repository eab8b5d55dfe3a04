"""What pages that are open are told: numbers, and who has the post; and how they are let go."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from monitor.web.desk import live
from tests.support import DAY
from tests.web_desk_rig import Desk, desk

__all__ = ["desk"]
PATIENCE = 20  # seconds


@contextmanager
def listening(desk: Desk, name: str, address: str = "/desk/live?seen=0") -> Iterator[http.client.HTTPResponse]:
    """Let a page of somebody listen."""
    connection = http.client.HTTPConnection(urlsplit(desk.server.url).netloc, timeout=PATIENCE)
    connection.request("GET", address, headers={"Cookie": f"sentimon_session=key of {name}"})
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def told(answer: http.client.HTTPResponse) -> dict[str, Any]:
    """Wait for the next thing that a page is told."""
    for line in iter(answer.readline, b""):
        if line.startswith(b"data:"):
            found: dict[str, Any] = json.loads(line.removeprefix(b"data:"))
            return found
    raise AssertionError("the server ended the stream")


def newest(desk: Desk) -> int:
    with desk.store as store:
        return store.cases.newest_event()


def test_a_page_is_told_what_came_and_what_is_in_each_tab(desk: Desk) -> None:
    desk.open("acme is awful")
    with listening(desk, "ann", f"/desk/live?seen={newest(desk)}") as answer:
        assert answer.status == 200
        assert str(answer.headers["Content-Type"]).startswith("text/event-stream")
        desk.open("acme is worse", "acme is bad")
        news = told(answer)
        while news["new"] < 2:  # each look may find one of them
            news = told(answer)
    assert news == {"counts": {"answer": 3, "mine": 0, "waiting": 0, "snoozed": 0}, "new": 2}


def test_only_what_agrees_with_the_filters_is_called_new(desk: Desk) -> None:
    desk.open("acme is awful")
    with listening(desk, "ann", f"/desk/live?seen={newest(desk)}&level=high") as answer:
        desk.open("acme is worse")
        desk.open("acme is bad", level="high")
        news = told(answer)
        while news["counts"]["answer"] < 1:
            news = told(answer)
    assert news["new"] == 1


def test_a_page_is_told_that_somebody_else_has_its_case(desk: Desk) -> None:
    (case,) = desk.open("acme is awful")
    with listening(desk, "ann", f"/desk/live?seen={newest(desk)}&case=1&version={case.version}") as answer:
        desk.press("bob", "claim")
        news = told(answer)
    assert news["case"] == {"version": case.version + 1, "state": "claimed", "assignee": "bob", "by": "bob"}


def test_nothing_is_told_of_brands_that_somebody_may_not_see(desk: Desk) -> None:
    desk.open("acme is awful")
    with listening(desk, "zoe", "/desk/live?seen=0&case=1") as answer:
        news = told(answer)
    assert news == {"counts": {"answer": 0, "mine": 0, "waiting": 0, "snoozed": 0}, "new": 0}


def test_whoever_is_not_logged_in_is_sent_away(desk: Desk) -> None:
    with listening(desk, "nobody") as answer:
        assert answer.status == 303


def test_a_stream_ends_with_the_session(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CHECKED", 0.05)
    with listening(desk, "ann", "/desk/live?seen=99") as answer:
        with desk.store as store, store.transaction():
            ann = store.users.named("ann")
            assert ann
            store.sessions.end_all(ann.id)
        assert b"data:" not in answer.read()


def test_a_stream_ends_when_the_session_is_too_old(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CHECKED", 0.05)
    with listening(desk, "ann", "/desk/live?seen=99") as answer:
        desk.clock.on(8 * DAY)
        assert b"data:" not in answer.read()


def test_too_many_pages_are_told_that_they_work_without(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST", 2)
    desk.open("acme is awful")
    with listening(desk, "ann") as first, listening(desk, "bob") as second:
        told(first)
        told(second)
        with listening(desk, "lea") as third:
            assert third.status == 503
            assert b"this one works without" in third.read()
            assert third.headers["Retry-After"] == "60"


def test_nobody_takes_the_places_of_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "OF_ONE", 1)
    desk.open("acme is awful")
    with listening(desk, "ann") as first:
        told(first)
        with listening(desk, "ann") as second, listening(desk, "bob") as third:
            assert (second.status, third.status) == (503, 200)


def test_a_page_that_goes_leaves_its_place_to_another(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST", 1)
    desk.open("acme is awful")
    with listening(desk, "ann") as first:
        told(first)
    status, waited = 503, threading.Event()
    for _ in range(200):
        with listening(desk, "bob") as second:
            status = second.status
        if status == 200:
            break
        waited.wait(0.05)
    assert status == 200


def test_the_server_ends_though_pages_listen(desk: Desk) -> None:
    desk.open("acme is awful")
    with listening(desk, "ann") as first, listening(desk, "bob") as second:
        told(first)
        told(second)
        desk.server.stop()
        assert first.read() is not None
        assert second.read() is not None
        assert desk.server._threads
        for thread in desk.server._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
