"""What every collector promises, the built-in ones and one that is installed beside sentimon."""

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from db.errors import CollectorError, InputError
from db.records import Batch, Mention, Position
from db.store import Store
from jobs.collect import Source, collect
from jobs.collector import Collector
from models.brand import Brand
from models.query import parse
from monitor import plugins
from monitor.plugins import CollectorKind, Kinds
from tests.platform_rig import COLLECTORS, Rig
from tests.plugin_rig import all_kinds, connections, install, installed, no_network
from tests.support import DAY, MINUTE, NOW

BRANDS = [Brand("Acme", parse("acme"))]
HOSTILE = "acme <script>alert(1)</script> & @everyone [x](http://x.example) =cmd|' \u202e\U0001f600 " + "x" * 2_000


class NoMoney:
    """A meter without a limit."""

    def left(self) -> Decimal | None:
        return None

    def reserve(self, most: Decimal) -> None:
        pass

    def settle(self, actual: Decimal) -> None:
        pass

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        pass


# --- plugins ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinds]:
    with all_kinds(tmp_path_factory.mktemp("beside")) as found:
        yield found


CLAIMS = """
from pydantic import BaseModel
from monitor.plugins import ChannelKind, CollectorKind, hookimpl

class Options(BaseModel, extra="forbid"):
    pass

@hookimpl
def register_collectors(register):
    register(CollectorKind({collector!r}, Options, lambda options, brands: None, lambda options, brands: ()))

@hookimpl
def register_channels(register):
    register(ChannelKind({channel!r}, Options, lambda options: None))
"""


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (("mine", "a"), ("mine", "b"), "two plugins offer the source kind 'mine'"),
        (("a", "mine"), ("b", "mine"), "two plugins offer the channel kind 'mine'"),
        (("a", "b"), ("file", "c"), "two plugins offer the source kind 'file'"),
        (("a", "b"), ("c", "console"), "two plugins offer the channel kind 'console'"),
    ],
)
def test_two_plugins_of_one_kind_are_refused_by_name(
    tmp_path: Path, first: tuple[str, str], second: tuple[str, str], says: str
) -> None:
    for number, (collector, channel) in enumerate((first, second)):
        code = CLAIMS.format(collector=collector, channel=channel)
        install(tmp_path, f"claim-{number}", f"claim_{number}", code)
    with installed(tmp_path), pytest.raises(InputError, match=says):
        plugins.load()


def test_without_third_parties_only_the_built_in_kinds_are_there(kinds: Kinds) -> None:
    alone = plugins.load(third_party=False)
    open_to_all = {"appstore", "bluesky", "feed", "hackernews", "mastodon"}
    assert set(alone.collectors) == open_to_all | {"file", "reddit", "webhook", "x", "youtube"}
    assert set(alone.channels) == {"apprise", "console", "webhook"}


def test_every_kind_is_held_to_the_contract(kinds: Kinds) -> None:
    built_in = plugins.load(third_party=False)
    read = {
        name for name, kind in built_in.collectors.items() if not kind.pushed
    }  # tests/test_inbound.py has the others
    assert read <= COLLECTORS.keys() <= kinds.collectors.keys()


# --- collectors -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=sorted(COLLECTORS))
def kind(request: pytest.FixtureRequest, kinds: Kinds) -> CollectorKind:
    return kinds.collectors[request.param]


@pytest.fixture
def rig(kind: CollectorKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr("time.sleep", lambda _: None)  # a client library's naps between its own tries
    with COLLECTORS[kind.kind](tmp_path) as made:
        yield made


def make(kind: CollectorKind, options: dict[str, Any]) -> Collector:
    return kind.build(kind.options.model_validate(options), BRANDS)


def read_all(collector: Collector, stream: str, position: Position = Position()) -> list[Batch]:  # noqa: B008 - frozen
    return list(collector.collect(stream, position, NoMoney(), NOW))


def all_mentions(collector: Collector) -> list[Mention]:
    return [each for stream in collector.streams() for batch in read_all(collector, stream) for each in batch.mentions]


def test_a_collectors_options_forbid_unknown_keys(kind: CollectorKind, rig: Rig) -> None:
    kind.options.model_validate(rig.options)
    with pytest.raises(ValidationError, match="surplus"):
        kind.options.model_validate(rig.options | {"surplus": 1})


def test_building_and_explaining_contacts_nothing(
    kind: CollectorKind, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_network(monkeypatch):
        made = make(kind, rig.options)
        lines = kind.explain(kind.options.model_validate(rig.options), BRANDS)
        assert made.streams()
    assert rig.asked() == 0
    assert len(lines) >= 1
    for line in lines:
        assert line.strip()
        assert "\n" not in line
        assert not any(secret in line for secret in rig.secrets)


def test_streams_have_names_of_their_own(kind: CollectorKind, rig: Rig) -> None:
    streams = make(kind, rig.options).streams()
    assert len(set(streams)) == len(streams)
    assert list(streams) == list(make(kind, rig.options).streams())


def test_mentions_are_whole(kind: CollectorKind, rig: Rig) -> None:
    found = all_mentions(make(kind, rig.options))
    assert len(found) == rig.posts
    for each in found:
        assert re.fullmatch(r"[a-z0-9_.-]{1,40}", each.source)
        assert each.source_id
        assert each.text.strip()
        assert each.created_at.utcoffset() == each.collected_at.utcoffset() == timedelta(0)
        assert each.created_at <= NOW == each.collected_at
        assert each.url is None or each.url.startswith(("https://", "http://"))


def test_ids_are_stable_and_nothing_is_given_twice(kind: CollectorKind, rig: Rig) -> None:
    once = [(each.source, each.source_id) for each in all_mentions(make(kind, rig.options))]
    again = [(each.source, each.source_id) for each in all_mentions(make(kind, rig.options))]
    assert once == again
    assert len(set(once)) == len(once)


def test_the_cursor_comes_with_the_last_batch_only(kind: CollectorKind, rig: Rig) -> None:
    made = make(kind, rig.options)
    several = False
    for stream in made.streams():
        batches = read_all(made, stream)
        several |= len(batches) > 1
        assert [batch.cursor is not None for batch in batches] == [False] * (len(batches) - 1) + [True]
        assert all(batch.fetched >= len(batch.mentions) for batch in batches)
    assert several, "the platform holds too few posts to tell"


def test_what_was_read_is_not_stored_again(kind: CollectorKind, rig: Rig, tmp_path: Path) -> None:
    source = Source("any", kind.kind, make(kind, rig.options), "1")
    with Store(tmp_path / "posts.db") as store:
        first = collect(store, source, BRANDS, NOW)
        second = collect(store, source, BRANDS, NOW + MINUTE)
        assert (first.error, second.error) == (None, None)
        assert (first.counts["stored"], second.counts["stored"]) == (rig.posts, 0)
        assert second.counts["fetched"] < rig.posts  # it goes on from the cursor


def test_a_fault_is_one_of_our_errors_in_one_line_without_a_secret(
    kind: CollectorKind, rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    made = make(kind, rig.broken)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(CollectorError) as caught:
        read_all(made, made.streams()[0])
    assert "\n" not in str(caught.value)
    for secret in rig.secrets:
        assert secret not in str(caught.value)
        assert secret not in caplog.text


def test_a_limit_becomes_a_wait_and_no_error_and_then_everything_is_read(
    kind: CollectorKind, rig: Rig, tmp_path: Path
) -> None:
    if rig.limit is None:
        pytest.skip(f"{kind.kind} reads files")
    rig.limit()
    source = Source("any", kind.kind, make(kind, rig.options), "1")
    with Store(tmp_path / "posts.db") as store:
        limited = collect(store, source, BRANDS, NOW)
        asked, state = rig.asked(), store.sources.state("any")
        assert (limited.error, bool(limited.note), state and state.paused) == (None, True, None)
        assert state
        assert state.not_before
        assert state.not_before > NOW
        assert collect(store, source, BRANDS, state.not_before - timedelta(seconds=1)).counts == {}
        assert rig.asked() == asked
        assert collect(store, source, BRANDS, state.not_before).error is None
        assert store.mentions.counts()[0] == rig.posts


def test_credentials_that_are_refused_pause_the_source_and_say_so(
    kind: CollectorKind, rig: Rig, tmp_path: Path
) -> None:
    if not rig.secrets:
        pytest.skip(f"{kind.kind} needs no credentials")
    source = Source("any", kind.kind, make(kind, rig.broken), "1")
    with Store(tmp_path / "posts.db") as store:
        refused = collect(store, source, BRANDS, NOW)
        state = store.sources.state("any")
        assert state
        assert state.paused
        assert refused.error == state.paused
        asked = rig.asked()
        assert "sentimon resume any" in str(collect(store, source, BRANDS, NOW + DAY).error)
        assert rig.asked() == asked


@pytest.mark.parametrize("faulty", [False, True])
def test_no_connection_outlives_a_run(
    kind: CollectorKind, rig: Rig, faulty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connections(monkeypatch) as made:
        collector = make(kind, rig.broken if faulty else rig.options)
        for stream in collector.streams():
            try:
                read_all(collector, stream)
            except CollectorError:
                assert faulty
        assert bool(made) == bool(rig.asked())
        assert [each for each in made if each.fileno() >= 0] == []


def test_hostile_text_passes_through_whole(kind: CollectorKind, rig: Rig) -> None:
    assert rig.say, "say how a post is made there"
    rig.say(HOSTILE)
    assert [each.text for each in all_mentions(make(kind, rig.options)) if HOSTILE in each.text]


def test_no_secret_of_a_source_is_logged_at_any_level(
    kind: CollectorKind, rig: Rig, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in (
        "",
        "googleapiclient",
        "httplib2",
        "httpx",
        "httpcore",
        "urllib3",
        "praw",
        "prawcore",
        "tweepy",
        "requests_oauthlib",
    ):
        caplog.set_level(logging.DEBUG, logger=name)
    options = kind.options.model_validate(rig.options)
    all_mentions(kind.build(options, BRANDS))
    told = caplog.text + repr(options) + str(options) + "".join(capfd.readouterr())
    for secret in rig.secrets:
        assert secret not in told
    assert all(isinstance(value, SecretStr) for value in secret_values(options, rig.secrets))


def secret_values(options: BaseModel, secrets: Sequence[str]) -> list[object]:
    values = [getattr(options, name) for name in type(options).model_fields]
    return [each for each in values if isinstance(each, str) and each in secrets]


def test_a_plugin_that_does_not_load_is_named_in_one_line(tmp_path: Path) -> None:
    install(tmp_path, "acme-gopher", "acme_gopher", "import a_module_that_is_not_there\n")
    with (
        installed(tmp_path),
        pytest.raises(InputError, match=r"acme_gopher of acme-gopher does not load .*pip uninstall"),
    ):
        plugins.load()
