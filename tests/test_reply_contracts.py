"""What everything that answers posts promises: on each platform, against its fake over real sockets."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import ValidationError

from db.errors import CollectorError, RateLimited, ReplyRefused, SourceUnavailable
from jobs.replier import Looker, Replier
from monitor import plugins
from tests.plugin_rig import connections, no_network
from tests.reply_rig import KEY, OURS, PLATFORMS, FreeMeter, Platform, replier_of
from tests.support import MINUTE, NOW, mention

TEXT = "We are sorry. Please write to us."
CLOSED = "http://127.0.0.1:9"  # the discard port: nobody listens there
ADDRESSES = {
    "x": ["api_url"],
    "bluesky": ["service_url"],
    "mastodon": ["instance"],
    "reddit": ["reddit_url", "oauth_url"],
}


@pytest.fixture(params=sorted(PLATFORMS))
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    with PLATFORMS[request.param]() as made:
        yield made


def send(platform: Platform, text: str = TEXT, key: str = KEY) -> str:
    replied = platform.replier().reply(platform.post, text, key, FreeMeter(), NOW)
    assert replied.remote_id
    assert replied.url is None or replied.url.startswith(("https://", "http://127.0.0.1"))
    return replied.remote_id


def test_every_kind_that_answers_is_held_to_the_contract() -> None:
    kinds = plugins.load(third_party=False).collectors.values()
    assert {kind.kind for kind in kinds if "replies" in kind.options.model_fields} == PLATFORMS.keys()


def test_making_it_contacts_nothing_and_asks_nothing(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    with no_network(monkeypatch):
        made = platform.replier()
        assert made.why_not(platform.post) is None
        assert made.length(TEXT, platform.post) <= made.longest
    assert isinstance(made, Replier)
    assert made.platform == platform.kind


def test_without_replies_nothing_answers(platform: Platform) -> None:
    kind = plugins.load(third_party=False).collectors[platform.kind]
    silent = kind.options.model_validate({**platform.options, "replies": False})
    assert kind.replier(silent, [OURS]) is None


def test_replies_need_credentials(platform: Platform) -> None:
    secrets = ("api_key", "handle", "access_token", "password")
    without = {name: value for name, value in platform.options.items() if name not in secrets}
    without = {name: value for name, value in without.items() if name != "app_password"}
    with pytest.raises(ValidationError, match="replies"):
        replier_of(platform.kind, without)


def test_a_reply_is_sent_once_beneath_its_post(platform: Platform) -> None:
    send(platform)
    assert list(platform.sent()) == [platform.notifies + TEXT]


def test_a_post_that_is_gone_is_refused(platform: Platform) -> None:
    platform.remove()
    with pytest.raises(ReplyRefused):
        send(platform)
    assert not platform.sent()


def test_a_limit_says_when_to_come_again_and_that_nothing_was_sent(platform: Platform) -> None:
    platform.fault("429")
    with pytest.raises(RateLimited) as limited:
        send(platform)
    assert NOW < limited.value.not_before <= NOW + timedelta(days=1)
    assert not platform.sent()


@pytest.mark.parametrize("status", ["400", "403"])
def test_a_refusal_says_that_nothing_was_sent(platform: Platform, status: str) -> None:
    platform.fault(status)
    with pytest.raises(ReplyRefused) as refused:
        send(platform)
    assert status in str(refused.value) or "refuses" in str(refused.value)
    assert not platform.sent()


@pytest.mark.parametrize("fault", ["503", "drop", "lost"])
def test_where_nobody_can_know_neither_sent_nor_unsent_is_claimed(platform: Platform, fault: str) -> None:
    platform.fault(fault)
    with pytest.raises(CollectorError) as error:
        send(platform)
    assert not isinstance(error.value, RateLimited)
    assert len(platform.sent()) == (1 if fault == "lost" else 0)  # and no library has tried again by itself


@pytest.mark.parametrize("fault", [None, "403", "drop"])
def test_no_connection_outlives_a_reply(platform: Platform, fault: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with connections(monkeypatch) as made:
        replier = platform.replier()
        if fault is None:
            replier.reply(platform.post, TEXT, KEY, FreeMeter(), NOW)
            assert isinstance(replier, Looker)
            assert replier.found(platform.post, TEXT, KEY, FreeMeter(), NOW)
        else:
            platform.fault(fault)
            with pytest.raises((CollectorError, ReplyRefused)):
                replier.reply(platform.post, TEXT, KEY, FreeMeter(), NOW)
        assert made
        assert [each for each in made if each.fileno() >= 0] == []


def test_without_a_connection_nothing_was_sent_and_it_is_tried_again_soon(platform: Platform) -> None:
    beyond = platform.replier(**dict.fromkeys(ADDRESSES[platform.kind], CLOSED))
    post = platform.post
    if platform.kind == "mastodon":
        post = mention(f"{CLOSED}/users/dan/statuses/1", "acme", source="mastodon")
    with pytest.raises(RateLimited) as later:
        beyond.reply(post, TEXT, KEY, FreeMeter(), NOW)
    assert later.value.not_before == NOW + MINUTE


def test_what_was_lost_on_the_way_back_is_found_and_what_was_not_sent_is_not(platform: Platform) -> None:
    looker = platform.replier()
    assert isinstance(looker, Looker)
    assert looker.found(platform.post, TEXT, KEY, FreeMeter(), NOW) is None
    platform.fault("lost")
    with pytest.raises(SourceUnavailable):
        send(platform)
    found = looker.found(platform.post, TEXT, KEY, FreeMeter(), NOW)
    assert found is not None
    assert found.remote_id
    assert looker.found(platform.post, "Something else.", KEY, FreeMeter(), NOW) is None


@pytest.mark.parametrize("kind", ["bluesky", "mastodon"])
def test_where_the_platform_tells_doubles_by_a_key_a_second_sending_is_none(kind: str) -> None:
    with PLATFORMS[kind]() as platform:
        platform.fault("lost")
        with pytest.raises(SourceUnavailable):
            send(platform)
        first = send(platform)
        assert send(platform) == first
        assert len(platform.sent()) == 1
        assert send(platform, key="sentimon-reply-2-1772625600") != first
        assert len(platform.sent()) == 2


def test_no_secret_is_in_what_goes_wrong(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secrets = [
        str(platform.options[name])
        for name in ("api_secret", "access_token_secret", "app_password", "access_token", "password", "client_secret")
        if name in platform.options
    ]
    told = []
    for fault in ("401", "403", "429", "503", "drop"):
        platform.fault(fault)
        with pytest.raises((CollectorError, ReplyRefused)) as error:
            send(platform)
        told.append(str(error.value))
        assert "\n" not in told[-1]
    assert not [secret for secret in secrets if secret in " ".join(told)]
    ours = [
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith(("requests_oauthlib", "oauthlib"))
    ]
    assert not [secret for secret in secrets if any(secret in line for line in ours)]
