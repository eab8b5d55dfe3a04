"""The options of a Mastodon source, what is explained of it, and how the job reads it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import InputError
from db.store import Store
from jobs.collect import Source, collect
from models.brand import Brand
from models.query import parse
from monitor.collectors.mastodon import MastodonOptions, register_collectors
from monitor.plugins import CollectorKind
from tests.fake_mastodon import TOKEN, FakeMastodon
from tests.mastodon_rig import ACME, HOUR, MINUTE, NOW, ago, collector, no_naps, options, run


@pytest.fixture
def server() -> Iterator[FakeMastodon]:
    with FakeMastodon() as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    no_naps(monkeypatch)


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("mastodon.social", "https://mastodon.social"),
        ("https://Social.Example/", "https://social.example"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_the_instance_is_a_name_or_an_address(given: str, meant: str) -> None:
    assert MastodonOptions.model_validate({"instance": given, "hashtags": ["a"]}).instance == meant


@pytest.mark.parametrize(
    "changes",
    [
        {"instance": "http://mastodon.social"},
        {"instance": "https://user:word@mastodon.social"},
        {"instance": "https://mastodon.social/about"},
        {"instance": "ftp://mastodon.social"},
        {"instance": "mastodon.social:https"},
        {"instance": "https://[::1"},
        {"instance": ""},
        {"hashtags": ["two words"]},
        {"hashtags": ["acme*"]},
        {"hashtags": ["../../v1/accounts"]},
        {"access_token": f"{TOKEN} {TOKEN}"},
        {"search": True},
        {"timeline": "home"},
        {"first": 0},
        {"most_pages": 0},
        {"timeout": 0},
        {"token": "x"},
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        MastodonOptions.model_validate({"instance": "mastodon.social", "hashtags": ["acme"]} | changes)
    assert TOKEN not in str(error.value)


def test_a_source_that_would_read_nothing_is_refused(server: FakeMastodon) -> None:
    with pytest.raises(InputError, match="nothing to read"):
        collector(server, hashtags=[])
    with pytest.raises(InputError, match="no stream"):
        run(collector(server), "tag:other")


def registered() -> CollectorKind:
    kinds: list[CollectorKind] = []
    register_collectors(kinds.append)
    (kind,) = kinds
    return kind


def test_every_stream_is_explained(server: FakeMastodon) -> None:
    given = options(server, access_token=TOKEN, search=True, timeline="local")
    assert registered().explain(given, [Brand("Acme", parse("acme OR akme"))]) == [
        f"tag:acme: posts with #acme on {server.host}",
        f"public: the local timeline on {server.host}",
        f"mentions: posts that mention the account on {server.host}",
        f"search:Acme: search for acme | akme on {server.host}",
    ]


@pytest.mark.parametrize(("name", "tag"), [("Acme", "acme"), ("Ben & Jerry's", "benjerrys"), ("Éclair 24", "éclair24")])
def test_a_first_look_needs_no_key(name: str, tag: str) -> None:
    kind = registered()
    look: Callable[[str], Any] | None = kind.first_look
    assert look is not None
    source = kind.build(kind.options.model_validate(look(name)), [Brand(name, parse(f'"{name}"'))])
    assert list(source.streams()) == [f"tag:{tag}"]
    assert list(kind.explain(kind.options.model_validate(look(name)), [])) == [
        f"tag:{tag}: posts with #{tag} on mastodon.social"
    ]


# --- the job ----------------------------------------------------------------------------------------------------------


def test_the_job_stores_each_post_once_though_two_streams_show_it(server: FakeMastodon, tmp_path: Path) -> None:
    for n in range(30):
        server.post(f"#acme #acmefail {n}", at=ago(n))
    source = Source("masto", "mastodon", collector(server, hashtags=["acme", "acmefail"], timeline="local"), "1")
    with Store(tmp_path / "a.db") as store:
        outcome = collect(store, source, [ACME], NOW)
        assert outcome.error is None
        assert (outcome.counts["stored"], outcome.counts["known"]) == (30, 60)
        server.faults.append("429")
        server.reset = (NOW + HOUR + 5 * MINUTE).isoformat()
        outcome = collect(store, source, [ACME], NOW + HOUR)
        assert outcome.error is None
        assert outcome.note is not None
        outcome = collect(store, source, [ACME], NOW + 2 * HOUR)
        assert (outcome.error, outcome.note, outcome.counts["stored"]) == (None, None, 0)
