"""Search on Mastodon: what is asked, how far back, and what a server does not say."""

from collections.abc import Iterator

import pytest

from db.errors import InputError
from db.records import Position
from tests.fake_mastodon import FakeMastodon
from tests.mastodon_rig import HOUR, MINUTE, NOW, Reader, ago, collector, no_naps, run, searching


@pytest.fixture
def server() -> Iterator[FakeMastodon]:
    with FakeMastodon() as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    no_naps(monkeypatch)


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("acme", ["acme"]),
        ("(acme AND kettle) OR (acme NOT jobs)", ["acme"]),
        ("acme AND (kettle OR toaster)", ["acme kettle", "acme toaster"]),
        ("(acme OR akme) AND (kettle OR pan)", ["acme kettle", "acme pan", "akme kettle", "akme pan"]),
        (
            'acme OR "acme kettle" OR @acme_help@x.org OR #acmefail',
            ["acme", '"acme kettle"', '"acme_help"', "acmefail"],
        ),
        ("acme NEAR/5 (refund OR money)", ["acme refund", "acme money"]),
        ('"the acme* kettle"', ["the kettle"]),
        ("AT&T NOT (jobs AND hiring)", ['"AT&T"']),
        ("acme NOT (NOT kettle)", ["acme kettle"]),
        ("acme AND kett*", ["acme"]),
    ],
)
def test_the_search_asks_for_more_than_the_query_never_for_less(
    server: FakeMastodon, query: str, sent: list[str]
) -> None:
    run(searching(server, query), "search:Acme")
    assert [request.params["q"] for request in server.requests] == sent
    assert {request.params["type"] for request in server.requests} == {"statuses"}


def test_what_search_cannot_express_is_refused_with_a_way_out(server: FakeMastodon) -> None:
    with pytest.raises(InputError, match="cannot search wildcards"):
        searching(server, "acme OR organi*")
    with pytest.raises(InputError, match="set search = false"):
        searching(server, " OR ".join(f"word{n}" for n in range(50)))
    assert collector(server, "acme OR organi*").streams()


def test_search_reads_back_to_the_last_run_and_a_little_further(server: FakeMastodon) -> None:
    reader = Reader(searching(server), "search:Acme")
    old = server.post("acme late in the index", at=ago(20), searchable=False)
    server.post("acme first", at=ago(30))
    assert reader.run() is None
    old.searchable = True
    for n in range(120):
        server.post(f"acme {n}", at=NOW + n * MINUTE)
    asked = len(server.requests)
    assert reader.run(NOW + 2 * HOUR) is None
    assert set(reader.stored) == {post.uri for post in server.posts.values()}
    assert len(server.requests) - asked == 5  # 40 posts a page, and one that is empty
    assert reader.position == Position((NOW + 2 * HOUR).isoformat())


def test_the_cursor_of_search_moves_with_the_last_page_of_the_last_search(server: FakeMastodon) -> None:
    for n in range(100):
        server.post(f"acme {n} akme", at=ago(n))
    batches = run(searching(server, "acme OR akme", first=80), "search:Acme")
    assert [batch.cursor for batch in batches] == [None, None, None, NOW.isoformat()]


def test_more_than_search_gives_in_a_run_is_told_as_a_gap(server: FakeMastodon) -> None:
    for n in range(100):
        server.post(f"acme {n}", at=ago(n))
    position = Position(ago(500).isoformat())
    batches = run(searching(server, most_pages=2), "search:Acme", position)
    (gap,) = [batch.gap for batch in batches if batch.gap]
    assert (gap.since, gap.until, gap.cause) == (ago(500), ago(79), "saturated")
    assert batches[-1].cursor == NOW.isoformat()


def test_a_search_that_repeats_its_page_ends(server: FakeMastodon) -> None:
    server.ignores = {"offset"}
    for n in range(60):
        server.post(f"acme {n}", at=ago(n))
    run(searching(server), "search:Acme", Position(ago(500).isoformat()))
    assert len(server.requests) == 2
