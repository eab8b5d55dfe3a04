"""What is each platform's own about replies: lengths, prices, conventions, and which posts may be answered."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest

from db.errors import InputError, RateLimited, ReplyRefused, SourceUnavailable
from jobs.replier import Outbox, Route
from models.brand import Brand
from models.query import parse
from monitor.collectors.bluesky_reply import record_key
from monitor.collectors.lengths import graphemes, has_link, shortened, weighted
from tests import fake_reddit
from tests.fake_bluesky import COLLECTION, FakeBluesky
from tests.fake_mastodon import FakeMastodon
from tests.fake_reddit import FakeReddit
from tests.reply_rig import KEY, PLATFORMS, FreeMeter, Platform, bluesky, mastodon, reddit, replier_of, x
from tests.support import HOUR, NOW, mention

TEXT = "We are sorry."
ODD = {"x": "not-a-number", "bluesky": "https://x.example", "mastodon": "at://x", "reddit": "t2_user"}


@pytest.mark.parametrize("kind", sorted(PLATFORMS))
def test_what_is_no_post_of_the_platform_cannot_be_answered(kind: str) -> None:
    with PLATFORMS[kind]() as platform:
        assert platform.replier().why_not(mention(ODD[kind], "@acme", source=kind)) is not None


def test_the_first_source_that_may_answer_does_and_else_the_reason_is_told() -> None:
    with x() as one, reddit() as other:
        box = Outbox([Route("x", one.replier()), Route("reddit", other.replier())])
        assert box.why_not(one.post) is None
        assert box.longest(one.post) == 280
        assert box.longest(other.post) == 10_000
        unsummoned = mention(99, "acme is broken")
        assert "does not mention @acme" in str(box.why_not(unsummoned))
        assert box.longest(unsummoned) is None
        assert "Replies on youtube are not set up here" in str(box.why_not(mention(1, source="youtube")))
        gone = mention(1, "@acme", gone_at=NOW, gone_reason="deleted")
        assert box.why_not(gone) == "The post is no longer there: deleted on its platform."


# --- X ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "addressed", "may"),
    [
        ("@Acme it is broken", (), True),
        ("it is broken", ("acme",), True),  # as the list of mentions tells
        ("it is broken", (), False),
        ("@acmecorp is broken", (), False),
        ("mail me at me@acme", (), False),
        ("@globex is better", ("globex",), False),
    ],
)
def test_on_x_only_posts_that_mention_the_account_can_be_answered(
    text: str, addressed: tuple[str, ...], may: bool
) -> None:
    with x() as platform:
        why = platform.replier().why_not(mention(1, text, addressed=addressed))
        assert (why is None) == may
        assert may or "Open it on X and answer there." in str(why)
        assert "Open that one" in str(platform.replier().why_not(mention(1, "@acme", repost_of="2")))


def test_replies_on_x_need_the_account_s_name() -> None:
    with x() as platform, pytest.raises(InputError, match="accounts = "):
        replier_of("x", platform.options, [Brand("Acme", parse("acme"))])


@pytest.mark.parametrize(
    ("text", "price"), [(TEXT, "0.015"), ("See https://acme.example", "0.20"), ("See acme.com/help", "0.20")]
)
def test_a_post_with_a_link_costs_more_and_the_price_is_set_aside_before(text: str, price: str) -> None:
    with x() as platform:
        meter = FreeMeter()
        platform.replier().reply(platform.post, text, KEY, meter, NOW)
        assert (meter.reserved, meter.settled) == ([Decimal(price)], [Decimal(price)])


@pytest.mark.parametrize(("fault", "settled"), [("403", [Decimal(0)]), ("429", [Decimal(0)]), ("lost", [])])
def test_what_x_refuses_costs_nothing_and_what_it_may_have_billed_stays_spent(
    fault: str, settled: list[Decimal]
) -> None:
    with x() as platform:
        platform.fault(fault)
        meter = FreeMeter()
        with pytest.raises(Exception, match="X"):
            platform.replier().reply(platform.post, TEXT, KEY, meter, NOW)
        assert meter.settled == settled


def test_x_s_own_reason_is_told() -> None:
    with x() as platform:
        platform.replier().reply(platform.post, TEXT, KEY, FreeMeter(), NOW)
        with pytest.raises(ReplyRefused, match="duplicate content"):
            platform.replier().reply(platform.post, TEXT, KEY, FreeMeter(), NOW)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),  # composed before it is counted
        ("日本", 4),
        ("👨‍👩‍👧‍👦", 2),
        ("🇩🇪", 2),
        ("“quoted”—so…", 13),
        ("https://acme.example/a/very/long/path?with=much#more", 23),
        ("see https://a.io.", 4 + 23 + 1),
        ("see acme.com", 4 + 23),
        ("x" * 281, 281),
    ],
)
def test_x_counts_by_weight(text: str, length: int) -> None:
    assert weighted(text) == length


def test_a_sentence_has_no_link() -> None:
    assert not has_link("We are sorry. It is 3.5 times better, ok?")
    assert has_link("http://x.example")
    assert has_link("write to acme.com")


# --- Bluesky ----------------------------------------------------------------------------------------------------------


def test_graphemes_are_what_people_see() -> None:
    assert graphemes("e\u0301👨‍👩‍👧‍👦🇩🇪a") == 4


def test_bluesky_counts_graphemes_and_bytes() -> None:
    with bluesky() as platform:
        replier = platform.replier()
        assert replier.length("é" * 300, platform.post) == 300
        assert replier.length("👨‍👩‍👧‍👦" * 200, platform.post) > 300  # 200 graphemes, 5,000 bytes


def test_a_record_key_is_that_of_its_reply_and_grows_with_the_post_s_time() -> None:
    with FakeBluesky(now=lambda: NOW) as fake:
        posts = [
            mention(fake.post(f"acme {hours}", NOW - hours * HOUR), at=NOW - hours * HOUR, source="bluesky")
            for hours in (3, 2, 1)
        ]
    keys = [record_key(post, KEY) for post in posts]
    assert keys == sorted(keys) == [record_key(post, KEY) for post in posts]
    assert all(len(key) == 13 and key[0] in "234567abcdefghij" for key in keys)
    assert len({record_key(posts[0], f"sentimon-reply-{n}-1") for n in range(1_000)}) == 1_000


def test_a_reply_to_a_reply_stays_in_its_thread() -> None:
    with bluesky() as platform, FakeBluesky(now=lambda: NOW) as fake:
        root = {"uri": f"at://did:plc:root/{COLLECTION}/1", "cid": "bafyroot"}
        above = fake.post("me too", NOW - HOUR, reply={"root": root, "parent": root})
        replier = platform.replier(service_url=fake.url)
        replier.reply(mention(above, source="bluesky"), "See https://acme.example.", KEY, FreeMeter(), NOW)
        record = fake.posts[fake.sent[0]].record
    assert record["reply"] == {"root": root, "parent": {"uri": above, "cid": "bafyfake"}}
    assert record["facets"][0]["features"][0]["uri"] == "https://acme.example"
    assert record["facets"][0]["index"] == {"byteStart": 4, "byteEnd": 24}


# --- Mastodon ---------------------------------------------------------------------------------------------------------


def test_mastodon_counts_links_and_addresses_short() -> None:
    assert shortened("see https://acme.example/a/very/long/path?with=much") == 4 + 23
    assert shortened("@dan@mastodon.example hello") == len("@dan hello")
    with mastodon() as platform:
        assert platform.replier().length("hello", platform.post) == len("@dan hello")
        assert platform.replier(longest_reply=5_000).longest == 5_000


@pytest.fixture
def server() -> Iterator[FakeMastodon]:
    with FakeMastodon() as fake:
        yield fake


def options_of(server: FakeMastodon) -> dict[str, object]:
    return {"instance": server.url, "access_token": "very-secret-access-token", "replies": True}


def test_a_post_of_another_server_is_fetched_and_answered_as_openly_as_it_was_said(server: FakeMastodon) -> None:
    afar = server.post("acme leaks", at=NOW - HOUR, author="eva@far.example", visibility="unlisted")
    del server.posts[afar.id]
    server.known_elsewhere[afar.uri] = afar
    post = mention(afar.uri, source="mastodon", author="eva@far.example")
    replier_of("mastodon", options_of(server)).reply(post, "Sorry, @eva@far.example!", KEY, FreeMeter(), NOW)
    (sent,) = server.sent
    assert (sent.text, sent.visibility) == ("Sorry, @eva@far.example!", "unlisted")  # she is notified as it is
    assert sent.more["in_reply_to_id"] == afar.id


def test_a_post_that_the_server_cannot_fetch_is_refused(server: FakeMastodon) -> None:
    post = mention("https://far.example/users/eva/statuses/1", source="mastodon", author="eva@far.example")
    with pytest.raises(ReplyRefused, match="does not show the post"):
        replier_of("mastodon", options_of(server)).reply(post, TEXT, KEY, FreeMeter(), NOW)


# --- Reddit -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def platform() -> Iterator[Platform]:
    with reddit() as made:
        yield made


def test_reddit_s_wish_to_wait_is_granted(platform: Platform) -> None:
    platform.fault("RATELIMIT")
    with pytest.raises(RateLimited) as limited:
        platform.replier().reply(platform.post, TEXT, KEY, FreeMeter(), NOW)
    assert limited.value.not_before == NOW + timedelta(seconds=420.5)


@pytest.mark.parametrize("path", ["/gateway", "/gateway/", "/a/../gateway", "/gäteway"])
def test_a_reply_that_was_lost_behind_a_proxy_s_path_is_not_said_to_be_unsent(path: str) -> None:
    with FakeReddit(now=lambda: NOW) as fake, reddit() as platform:
        fake.behind = quote(path.removeprefix("/a/..").rstrip("/"))
        fake.write_faults.append("lost")
        post = mention(fake.submit("acme", at=NOW), source="reddit")
        with pytest.raises(SourceUnavailable, match="Reddit did not answer"):
            platform.replier(reddit_url=fake.url, oauth_url=fake.url + path).reply(post, TEXT, KEY, FreeMeter(), NOW)
        assert len(fake.sent) == 1


def test_reddit_refuses_with_status_200_too(platform: Platform) -> None:
    platform.fault("THREAD_LOCKED")
    with pytest.raises(ReplyRefused, match="THREAD_LOCKED"):
        platform.replier().reply(platform.post, TEXT, KEY, FreeMeter(), NOW)


def test_a_refresh_token_stands_for_an_account_as_well(platform: Platform) -> None:
    by_token = platform.replier(username=None, password=None, refresh_token=fake_reddit.REFRESH)
    sent = by_token.reply(platform.post, TEXT, KEY, FreeMeter(), NOW)
    assert by_token.found(platform.post, TEXT, KEY, FreeMeter(), NOW) == sent  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"refresh_token": "wrong"}, {"client_secret": "wrong"}])
def test_an_account_that_reddit_refuses_has_sent_nothing(platform: Platform, wrong: dict[str, str]) -> None:
    with pytest.raises(ReplyRefused, match="refuses the account"):
        platform.replier(**wrong).reply(platform.post, TEXT, KEY, FreeMeter(), NOW)
    assert not platform.sent()


def test_trouble_with_the_login_is_tried_again_since_nothing_was_sent() -> None:
    with FakeReddit(now=lambda: NOW) as fake, reddit() as platform:
        fake.token_faults.append("503")
        post = mention(fake.submit("acme", at=NOW), source="reddit")
        elsewhere = platform.replier(reddit_url=fake.url, oauth_url=fake.url)
        with pytest.raises(RateLimited):
            elsewhere.reply(post, TEXT, KEY, FreeMeter(), NOW)
        elsewhere.reply(post, TEXT, KEY, FreeMeter(), NOW)
        assert len(fake.sent) == 1
