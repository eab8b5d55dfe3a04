"""The Bluesky collector against a real PDS: what people do there is in the store after the next run, and nothing else.

Slow, and skipped where Node 22 is not installed: see tests/real_bluesky/rig.py.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from db.errors import ReplyRefused
from db.records import Mention
from db.store import Store
from jobs.collect import Source, collect
from jobs.outcome import Outcome
from jobs.recheck import recheck
from models.query import parse
from monitor.collectors.bluesky import LIVE, BlueskyOptions, build, replier
from monitor.collectors.bluesky_reply import BlueskyReplier
from monitor.plugins import Brand
from tests.real_bluesky.appview import POST
from tests.real_bluesky.jetbridge import JetBridge
from tests.real_bluesky.rig import Network, NotHere, Person, Ref, network
from tests.reply_rig import FreeMeter as NoMoney
from tests.support import DAY, HOUR, mention, rows

pytestmark = pytest.mark.slow

SECONDS = 2  # that a run listens where the stream is quiet
_numbers = count(1)


@dataclass
class Watch:
    """One source in one database file, and a brand with a name that no other test uses."""

    network: Network
    path: Path
    word: str
    given: dict[str, Any]

    def __post_init__(self) -> None:
        self.start(self.network.bridge)

    def start(self, bridge: JetBridge | None = None, **changed: object) -> None:
        """Start as a new process does, with nothing but the file of the one before."""
        self.bridge = bridge or self.bridge
        self.given |= changed
        self.store = Store(self.path)
        self.brands = [Brand(self.word, parse(self.word))]
        urls = {"jetstream_url": self.bridge.url, "service_url": self.network.url}
        options = BlueskyOptions.model_validate({**urls, "timeout": 60, "listen": SECONDS, **self.given})
        self.collector: Any = build(options, self.brands)
        self.source = Source("bluesky", "bluesky", self.collector, str(changed))

    def end(self) -> None:
        self.store.close()

    def now(self) -> datetime:
        """A moment later: a run leaves the newest events to the next one. The stream ends with its last event."""
        return (datetime.now(UTC) if "handle" in self.given else self.bridge.latest(POST)) + LIVE

    def run(self) -> Outcome:
        return collect(self.store, self.source, self.brands, self.now())

    def read(self) -> dict[str, int]:
        """A run that must go well."""
        outcome = self.run()
        assert (outcome.error, outcome.note) == (None, None)
        return dict(outcome.counts)

    def posts(self) -> dict[str, str]:
        """The text of every post that is kept, by its id."""
        return dict(rows(self.path, "SELECT source_id, text FROM mentions WHERE gone_at IS NULL"))

    def gone(self) -> list[tuple[Any, ...]]:
        return rows(self.path, "SELECT source_id, text, author, gone_reason FROM mentions WHERE gone_at IS NOT NULL")


@pytest.fixture(scope="module")
def bluesky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    try:
        with network(tmp_path_factory.mktemp("network")) as running:
            yield running
    except NotHere as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def ann(bluesky: Network) -> Person:
    return bluesky.join("ann")


@pytest.fixture(scope="module")
def ben(bluesky: Network) -> Person:
    return bluesky.join("ben")


@pytest.fixture
def word() -> str:
    return f"kettle{next(_numbers)}"


@pytest.fixture
def stream(bluesky: Network, word: str, tmp_path: Path) -> Iterator[Watch]:
    """The public stream."""
    watch = Watch(bluesky, tmp_path / "a.db", word, {"replay": "1h"})
    yield watch
    watch.end()


@pytest.fixture(scope="module")
def brand(bluesky: Network) -> Person:
    """The account that watches."""
    return bluesky.join("brand")


@pytest.fixture
def account(bluesky: Network, brand: Person, word: str, tmp_path: Path) -> Iterator[Watch]:
    """What an account can read, without the stream."""
    given = {"handle": brand.handle, "app_password": brand.app_password(word), "stream": False}
    watch = Watch(bluesky, tmp_path / "a.db", word, given)
    yield watch
    watch.end()


# --- the stream -------------------------------------------------------------------------------------------------------


def test_a_post_comes_through_the_firehose_as_it_was_written(stream: Watch, ann: Person, word: str) -> None:
    post = ann.post(f"my {word.upper()} leaks", langs=["pt-BR"])
    ann.post("something else")
    assert stream.read()["stored"] == 1
    sql = "SELECT source, source_id, author, text, language, url, in_reply_to FROM mentions"
    url = f"https://bsky.app/profile/{ann.did}/post/{post.rkey}"
    assert rows(stream.path, sql) == [("bluesky", post.uri, ann.did, f"my {word.upper()} leaks", "pt", url, None)]
    written = datetime.fromisoformat(ann.records()[post.uri]["createdAt"])
    (found,) = rows(stream.path, "SELECT created_at FROM mentions")
    assert datetime.fromisoformat(found[0]) == written.replace(microsecond=0)


@pytest.mark.filterwarnings("ignore:Use 'content=")  # atproto's client, of uploads
def test_a_post_with_a_picture_and_signs_of_all_kinds_comes_whole(stream: Watch, ann: Person, word: str) -> None:
    picture = ann.client.com.atproto.repo.upload_blob(b"GIF89a" + bytes(64)).blob
    embed = {
        "$type": "app.bsky.embed.images",
        "images": [{"alt": "a kettle", "image": picture.model_dump(by_alias=True)}],
    }
    text = f"🫖 {word} كسر \u200d\u202e " + "é" * 250
    post = ann.post(text, embed=embed)
    assert stream.read()["stored"] == 1
    assert stream.posts() == {post.uri: text.strip()}


def test_what_is_deleted_on_the_server_is_erased_by_the_next_run(stream: Watch, ann: Person, word: str) -> None:
    regretted, kept = ann.post(f"{word} is awful"), ann.post(f"{word} is fine")
    stream.read()
    ann.delete(regretted)
    ann.delete(ann.post(f"{word} for a moment"))
    stream.read()
    assert stream.posts() == {kept.uri: f"{word} is fine"}
    assert stream.gone() == [(regretted.uri, "", None, "deleted")]


def test_what_is_edited_on_the_server_is_kept_as_a_new_version(stream: Watch, ann: Person, word: str) -> None:
    post = ann.post(f"{word} is fien")
    stream.read()
    ann.edit(post, f"{word} is fine")
    stream.read()
    assert stream.posts() == {post.uri: f"{word} is fine"}
    assert rows(stream.path, "SELECT text FROM versions") == [(f"{word} is fien",)]


def test_a_restart_after_a_cut_loses_nothing_and_doubles_nothing(stream: Watch, bluesky: Network, word: str) -> None:
    cat = bluesky.join(f"cat-{word}")
    cat.post_all([f"{word} {number}" for number in range(400)])
    bluesky.bridge.cut_after = 250
    outcome = stream.run()
    assert "hung up" in str(outcome.error)
    assert 0 < len(stream.posts()) < 400
    first, *_, last = sorted(cat.records())
    cat.delete(Ref(first, ""))
    cat.edit(Ref(last, ""), f"{word} edited while nobody read")
    cat.post(f"{word} posted while nobody read")

    stream.end()
    stream.start()
    stream.read()

    assert stream.posts() == {uri: record["text"] for uri, record in cat.records().items()}
    assert len(stream.posts()) == 400
    assert rows(stream.path, "SELECT count(*), count(DISTINCT source_id) FROM mentions") == [(401, 401)]
    assert stream.read()["stored"] == 0


def test_another_jetstream_goes_on_from_the_cursor_of_the_first(
    stream: Watch, bluesky: Network, ann: Person, word: str
) -> None:
    before = ann.post(f"{word} before")
    stream.read()
    after = ann.post(f"{word} after")
    with JetBridge(bluesky.url) as other:  # it witnesses everything now, so at other times than the first one did
        other.firehose.wait_for(ann.did, ann.client.com.atproto.sync.get_latest_commit({"did": ann.did}).rev)
        stream.end()
        stream.start(other)
        stream.read()
    assert stream.posts() == {before.uri: f"{word} before", after.uri: f"{word} after"}


def test_the_past_is_read_from_the_stream_anew(stream: Watch, ann: Person, word: str) -> None:
    began = datetime.now(UTC)
    posts = {ann.post(f"{word} {number}").uri for number in range(3)}
    batches = list(stream.collector.history("posts", began, stream.bridge.latest(POST), None, None, stream.now()))
    assert {mention.source_id for batch in batches for mention in batch.mentions} == posts


def test_a_reply_names_the_post_that_it_answers(stream: Watch, ann: Person, ben: Person, word: str) -> None:
    asked = ann.post(f"does the {word} leak?")
    answer = ben.reply(asked, f"my {word} does")
    stream.read()
    found = rows(stream.path, "SELECT source_id, author, in_reply_to FROM mentions ORDER BY id")
    assert found == [(asked.uri, ann.did, None), (answer.uri, ben.did, asked.uri)]
    assert ben.records()[answer.uri]["reply"]["parent"]["uri"] == asked.uri


# --- the account ------------------------------------------------------------------------------------------------------


def test_search_finds_what_was_posted_with_its_likes_and_replies(
    account: Watch, ann: Person, ben: Person, word: str
) -> None:
    post = ann.post(f"the {word.title()}, leaking")
    ben.like(post)
    ben.reply(post, "so sad")
    ann.post(f"not {word}ish", at=datetime.now(UTC) - HOUR)
    assert account.read()["stored"] == 1
    sql = "SELECT source_id, author, likes, replies, reposts FROM mentions"
    assert rows(account.path, sql) == [(post.uri, ann.did, 1, 1, 0)]


def test_a_search_of_many_pages_is_read_whole(account: Watch, bluesky: Network, word: str) -> None:
    dan = bluesky.join(f"dan-{word}")
    dan.post_all([f"{word} {number}" for number in range(230)])
    account.read()
    assert account.posts() == {uri: record["text"] for uri, record in dan.records().items()}
    asked = [params for params in bluesky.view.calls("searchPosts") if params["q"] == [word]]
    assert [params.get("cursor") for params in asked] == [None, ["100"], ["200"]]


def test_one_login_serves_all_runs_of_a_process(account: Watch, bluesky: Network, ann: Person, word: str) -> None:
    before = len(bluesky.requests("createSession"))
    for number in range(3):
        ann.post(f"{word} {number}")
        account.read()
    account.collector.check(list(account.posts()), None, None, datetime.now(UTC))
    assert len(account.posts()) == 3
    assert len(bluesky.requests("createSession")) == before + 1


def test_a_password_that_was_revoked_waits_for_a_person(account: Watch, brand: Person, word: str) -> None:
    account.read()
    brand.client.com.atproto.server.revoke_app_password({"name": word})
    account.end()
    account.start()
    assert "app_password" in str(account.run().error)
    assert str(account.run().error).startswith("paused")


def test_too_many_logins_are_a_wait_until_the_server_allows_more(bluesky: Network, word: str, tmp_path: Path) -> None:
    eve = bluesky.join(f"eve-{word}")
    given = {"handle": eve.handle, "app_password": eve.app_password(), "stream": False}
    watch = Watch(bluesky, tmp_path / "a.db", word, given)
    answers = [eve.mistype_password() for _ in range(30)]
    assert (answers[0], answers[-1]) == (401, 429)
    outcome = watch.run()
    assert (outcome.error, "asks to wait" in str(outcome.note)) == (None, True)
    (found,) = rows(watch.path, "SELECT not_before FROM sources")
    assert timedelta(0) < datetime.fromisoformat(found[0]) - datetime.now(UTC) <= timedelta(minutes=5)
    watch.end()


def test_notifications_bring_mentions_and_replies_that_name_the_brand(
    account: Watch, brand: Person, ann: Person, ben: Person, word: str
) -> None:
    own = brand.post("we are here")
    mentioned = ann.mention(brand, f"your {word} leaks")
    answered = ben.reply(own, f"with a {word} that leaks")
    ben.like(own)
    ben.reply(own, "hello")
    account.start(search=False)
    assert account.collector.streams() == ["notifications"]
    account.read()
    found = rows(account.path, "SELECT source_id, author, in_reply_to FROM mentions ORDER BY created_at, id")
    assert sorted(found) == sorted([(mentioned.uri, ann.did, None), (answered.uri, ben.did, own.uri)])


def test_a_post_that_stream_search_and_notifications_bring_is_stored_once(
    account: Watch, brand: Person, ann: Person, word: str
) -> None:
    account.end()
    account.start(stream=True)
    account.read()
    post = ann.mention(brand, f"your {word} leaks")
    counts = account.read()
    assert (counts["stored"], counts["known"]) == (1, 2)
    assert list(account.posts()) == [post.uri]


def test_a_later_look_tells_what_is_gone(account: Watch, bluesky: Network, ann: Person, word: str) -> None:
    fay = bluesky.join(f"fay-{word}")
    kept, regretted, left = ann.post(f"{word} kept"), ann.post(f"{word} regretted"), fay.post(f"{word} by fay")
    account.read()
    assert set(account.posts()) == {kept.uri, regretted.uri, left.uri}
    ann.delete(regretted)
    ann.edit(kept, f"{word} kept and edited")
    fay.leave()
    outcome = recheck(
        account.store, [account.source], {"bluesky": 30 * DAY}, account.brands, datetime.now(UTC) + 2 * DAY
    )
    assert (outcome.error, dict(outcome.counts)) == (None, {"checked": 3, "deleted": 2})
    assert account.posts() == {kept.uri: f"{word} kept and edited"}
    assert {source_id for source_id, *_ in account.gone()} == {regretted.uri, left.uri}


# --- answers ----------------------------------------------------------------------------------------------------------


def replier_of(network: Network, person: Person) -> BlueskyReplier:
    given = {"handle": person.handle, "app_password": person.app_password(f"r{next(_numbers)}"), "replies": True}
    made = replier(BlueskyOptions.model_validate({**given, "service_url": network.url, "timeout": 60}), [])
    assert made is not None
    return made


def mention_of(post: Ref, author: Person) -> Mention:
    return mention(post.uri, "my kettle leaks", datetime.now(UTC), source="bluesky", author=author.did)


def test_a_reply_lies_beneath_its_post_and_in_its_thread(bluesky: Network, brand: Person, ann: Person) -> None:
    asked = ann.post("my kettle leaks")
    more = ann.reply(asked, "and it whistles")
    text = "We are sorry 🫖: see https://acme.example/help."
    sent = replier_of(bluesky, brand).reply(mention_of(more, ann), text, "key-1", NoMoney(), datetime.now(UTC))
    record = brand.records()[sent.remote_id]
    assert (record["text"], record["reply"]["parent"]["uri"]) == (text, more.uri)
    assert record["reply"]["root"]["uri"] == asked.uri
    (facet,) = record["facets"]
    place = facet["index"]
    assert text.encode()[place["byteStart"] : place["byteEnd"]] == b"https://acme.example/help"


def test_the_server_itself_keeps_a_reply_from_being_written_twice(bluesky: Network, brand: Person, ann: Person) -> None:
    post, now = mention_of(ann.post("my kettle leaks"), ann), datetime.now(UTC)
    one, other = replier_of(bluesky, brand), replier_of(bluesky, brand)
    assert one.found(post, "We are sorry.", "key-2", NoMoney(), now) is None
    before = len(brand.records())
    sent = one.reply(post, "We are sorry.", "key-2", NoMoney(), now)
    assert other.found(post, "We are sorry.", "key-2", NoMoney(), now) == sent
    assert other.reply(post, "We are sorry.", "key-2", NoMoney(), now) == sent  # it looks first
    with pytest.raises(ReplyRefused, match="InvalidSwap"):  # and without looking, the server refuses
        other.reply(post, "Something else.", "key-2", NoMoney(), now)
    assert len(brand.records()) == before + 1
    assert brand.records()[sent.remote_id]["text"] == "We are sorry."


def test_a_post_that_its_author_deleted_is_not_answered(bluesky: Network, brand: Person, ann: Person) -> None:
    post = ann.post("my kettle leaks")
    ann.delete(post)
    with pytest.raises(ReplyRefused, match="does not show the post"):
        replier_of(bluesky, brand).reply(mention_of(post, ann), "Sorry.", "key-3", NoMoney(), datetime.now(UTC))


# --- the network of the tests -----------------------------------------------------------------------------------------


def test_the_jetstream_of_these_tests_is_one_to_its_own_client(bluesky: Network, ann: Person) -> None:
    from atproto import JetstreamClient

    post = ann.post("to be seen by the client")
    ann.delete(post)
    end = ann.post("the end")
    for cursor in (1, 10**15):
        client = JetstreamClient({"cursor": cursor, "kinds": ["commit"]}, base_uri=bluesky.bridge.url, compress=False)
        seen: list[tuple[str, str]] = []
        errors: list[BaseException] = []

        def take(event: Any, seen: list[tuple[str, str]] = seen, client: Any = client) -> None:
            seen.append((event.operation, f"at://{event.did}/{event.collection}/{event.rkey}"))
            if seen[-1] == ("create", end.uri):
                client.stop()

        reading = threading.Thread(target=client.start, args=(take, errors.append), daemon=True)
        reading.start()
        reading.join(60)
        assert not errors
        assert seen[-3:] == [("create", post.uri), ("delete", post.uri), ("create", end.uri)]
        assert len(seen) == sum(event.kind == "commit" for event in bluesky.bridge.events)
