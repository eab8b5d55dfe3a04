"""Looking before collecting: `sentimon query test` changes nothing, `sentimon query apply` changes what it says."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from db.errors import InputError
from db.filters import Filter
from db.records import NO_BRAND, Verdict
from db.store import Store
from jobs.rematch import BATCH, Tally, rematch
from models.brand import Brand, hiding
from models.query import Query, parse
from monitor.cli import query as command
from monitor.plugins import CollectorKind, Kinds
from monitor.query_look import Place, take_query, unconfigured
from tests.cli_rig import complaint, configure, counts, said, sentimon, told
from tests.support import DAY, HOUR, NOW, brand, judge, keep, kept_counts, mention, recounted, rows

X = '[[sources]]\nkind = "x"\nbearer_token = { env = "NO_SUCH_TOKEN" }\n'
REDDIT = '[[sources]]\nkind = "reddit"\nsubreddits = ["acme"]\nclient_id = "i"\nclient_secret = "hush"\n'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "posts.db") as store:
        yield store


def today(hours: int) -> datetime:
    """So many hours ago by the clock on the wall, which commands go by."""
    return datetime.now(UTC) - timedelta(hours=hours)


# --- query test: what would be asked ----------------------------------------------------------------------------------


def test_each_source_shows_what_it_would_be_asked_and_what_that_costs(folder: Path) -> None:
    configure(folder, X, REDDIT)
    with Store(folder / "posts.db") as store:
        keep(store, *(mention(n, "acme broke", today(n + 1)) for n in range(7)), mention(8, "acme", today(1)))
        keep(store, mention(9, "acme broke", today(24 * 9)))  # too long ago to tell anything of a month
    shown = said(sentimon("query", "test", 'acme NEAR/3 broke NOT "acme road"'))
    assert 'test: acme broke -"acme road"' in shown
    assert 'search:test: acme AND broke AND NOT "acme road" in r/acme' in shown
    expected = "about 30 posts, about $0.15 a month (from the 7 stored posts of the last 7 days that match)"
    assert f"$0.005 a post: {expected}" in shown
    assert "missing: bearer_token: environment variable NO_SUCH_TOKEN" in shown
    assert "hush" not in shown


def test_a_source_that_cannot_be_asked_says_why_and_the_others_are_shown(folder: Path) -> None:
    configure(folder, X, '[[sources]]\nkind = "file"\npath = "posts.csv"\n')
    (folder / "posts.csv").write_text("")
    shown = said(sentimon("query", "test", "organi?ation"))
    assert "cannot be asked: X cannot search wildcards" in shown
    assert "free: posts are brought to it" in shown


def test_without_stored_posts_it_says_that_it_cannot_tell_and_how_to_find_out(folder: Path) -> None:
    configure(folder, X)
    shown = said(sentimon("query", "test", "acme"))
    assert "$0.005 a post: cannot tell how many posts, none are stored of the last 7 days; to find out, " in shown
    assert "`sentimon run --once --job collect` under a small monthly_budget" in shown
    assert "No stored posts to look through." in shown
    assert not (folder / "posts.db").exists(), "looking makes no database"
    with Store(folder / "posts.db") as store:
        keep(store, mention(1, "acme", today(1)))
    assert "of its 1 stored post of the last 7 days none matches; to find out" in said(
        sentimon("query", "test", "bolt")
    )


def test_without_a_configuration_kinds_are_shown_by_default_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    shown = said(sentimon("query", "test", "acme OR bolt"))
    assert "no sentimon.toml here" in shown
    assert "test: (acme OR bolt)" in shown
    assert "search:test: acme OR bolt in r/all" in shown
    assert list(tmp_path.iterdir()) == []


def test_right_after_init_the_kinds_that_need_no_key_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    said(sentimon("init"))
    shown = said(sentimon("query", "test", "acme OR bolt"))
    assert "(sentimon.toml has no sources: those that need no key, as they are by default)" in shown
    kinds = {source["kind"] for source in told("query", "test", "acme OR bolt")["sources"]}
    assert {"hackernews", "bluesky", "feed"} <= kinds
    assert not kinds & {"x", "reddit", "youtube"}


def test_a_configuration_that_was_named_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    assert "gone.toml: no such file" in complaint(sentimon("query", "test", "acme", "--config", "gone.toml"), 2)
    assert "gone.toml: no such file" in complaint(sentimon("--config", "gone.toml", "query", "test", "acme"), 2)
    monkeypatch.setenv("SENTIMON_CONFIG", "gone.toml")
    assert "named by SENTIMON_CONFIG" in complaint(sentimon("query", "test", "acme"), 2)
    assert "named by SENTIMON_CONFIG" in complaint(sentimon("query", "apply"), 2)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["(acme"], "query: unbalanced parenthesis at character 1"),
        (["acme", "--hide", "jobs AND"], "hide: AND needs a word after it"),
        (["acme", "--since", "soon"], "'soon' is not a time"),
    ],
)
def test_a_query_that_cannot_be_read_is_told_in_one_line(folder: Path, args: Sequence[str], line: str) -> None:
    assert line in complaint(sentimon("query", "test", *args))


def test_an_operator_written_small_is_noted_and_the_query_is_tried(folder: Path) -> None:
    result = sentimon("query", "test", "acme or globex", "--hide", "acme not jobs", "--json")
    assert (result.exit_code, json.loads(result.stdout)["query"]) == (0, "acme AND or AND globex")
    assert result.stderr.splitlines() == [
        "sentimon: query: `or` is searched as a word; write OR for either",
        "sentimon: hide: `not` is searched as a word; write NOT for what to leave out",
    ]


class Free(BaseModel, extra="forbid"):
    tag: str
    token: SecretStr | None = None


def free_kind(**more: Any) -> CollectorKind:
    def refuse(options: Free, brands: Sequence[Brand]) -> Any:
        pytest.fail("nothing is to be read")

    def explain(options: Free, brands: Sequence[Brand]) -> Sequence[str]:
        if options.tag == "jobs":
            raise InputError("open cannot look for jobs")
        return [f"#{options.tag}: {each.query}" for each in brands]

    return CollectorKind("open", Free, refuse, explain, **more)


def test_a_kind_that_needs_no_key_is_shown_without_a_configuration_as_a_first_look_reads_it() -> None:
    looking = free_kind(first_look=lambda name: {"tag": name})
    locked = replace(free_kind(), kind="locked")  # nothing says what to read there
    places = unconfigured(Kinds({"open": looking, "locked": locked}, {}), parse("acme"))
    taken = take_query(parse("acme"), None, places, None, None, 10, NOW)
    assert [(each["name"], each["streams"]) for each in taken["sources"]] == [("open", ["#acme: acme"])]
    for query, name in (('NOT jobs AND ("big acme" OR bolt)', "big acme"), ("(@bolt OR acme) NEAR/3 c", "bolt")):
        (place,) = unconfigured(Kinds({"open": looking}, {}), parse(query))
        assert place.options == Free(tag=name)
    assert "`sentimon try` reads its latest posts" in command._estimate(taken["sources"][0])


@pytest.mark.parametrize(
    ("query", "name"), [("ac*", ""), ('"big ac*"', ""), ("ac* OR bolt", "bolt"), ("@ac* NEAR/3 bolt", "bolt")]
)
def test_the_beginning_of_a_word_is_no_name_to_look_for(query: str, name: str) -> None:
    looking = free_kind(first_look=lambda given: {"tag": given})
    (place,) = unconfigured(Kinds({"open": looking}, {}), parse(query))
    assert place.options == Free(tag=name)


def test_no_server_is_asked_for_the_hashtag_that_a_wildcard_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    shown = said(sentimon("query", "test", "ac*"))
    assert "#ac " not in shown
    assert "cannot be asked: nothing to read on mastodon.social: add `hashtags`" in shown
    assert "tag:bolt: posts with #bolt on mastodon.social" in said(sentimon("query", "test", "ac* OR bolt"))


def test_the_price_is_that_of_the_options(store: Store) -> None:
    dear = free_kind(price=lambda options: Decimal(len(options.tag)))
    keep(store, *(mention(n, "acme", NOW - HOUR, "open") for n in range(14)))
    keep(store, mention("hidden", "acme jobs", NOW - HOUR, "open"), mention("other", "bolt", NOW - HOUR, "open"))
    place = Place("mine", dear, Free(tag="abc"))
    taken = take_query(parse("acme NOT jobs"), None, [place], store, None, 10, NOW)
    (asked,) = taken["sources"]
    assert (asked["price_per_post"], asked["posts_a_month"], asked["cost_a_month"]) == ("3", 60, "180.00")
    assert (asked["stored_last_7_days"], asked["matching_last_7_days"]) == (16, 14)


# --- query test: what is stored ---------------------------------------------------------------------------------------


def test_stored_posts_are_counted_by_source_and_the_newest_are_shown(folder: Path) -> None:
    with Store(folder / "posts.db") as store:
        keep(store, *(mention(n, f"acme {n}", NOW - n * DAY) for n in range(30)))
        keep(store, mention("r1", "acme jobs", NOW - HOUR, "reddit"), mention("r2", "bolt", NOW, "reddit"))
    before = (folder / "posts.db").read_bytes()
    found = told("query", "test", "acme", "--hide", "jobs", "--limit", "3")["posts"]
    assert (found["stored"], found["matching"], found["hidden"]) == (32, 31, 1)
    assert found["by_source"] == {"reddit": {"matching": 1, "hidden": 1}, "x": {"matching": 30, "hidden": 0}}
    assert [(post["id"], post["hidden"]) for post in found["newest"]] == [("0", False), ("r1", True), ("1", False)]
    since = told("query", "test", "acme", "--since", (NOW - 2 * DAY).date().isoformat())["posts"]
    assert (since["stored"], since["matching"]) == (5, 4)
    assert (folder / "posts.db").read_bytes() == before

    shown = said(sentimon("query", "test", "acme", "--hide", "jobs"))
    assert "31 of 32 stored posts match, 1 of them hidden" in shown
    assert "reddit: 1, 1 hidden" in shown
    assert len([line for line in shown.splitlines() if "2026-0" in line]) == 10


def test_posts_that_are_no_longer_kept_and_hostile_ones_do_no_harm(folder: Path) -> None:
    with Store(folder / "posts.db") as store:
        keep(store, mention(1, "acme \x1b[2J[bold]wiped", author="a\x07b"), mention(2, "acme gone"))
        with store.transaction():
            store.forgotten.erase_named("x", ["2"], NOW, "deleted")
    shown = said(sentimon("query", "test", "acme"))
    assert "1 of 1 stored post match" in shown
    assert "[bold]wiped" in shown
    assert not {"\x1b", "\x07"} & set(shown)


# --- query apply ------------------------------------------------------------------------------------------------------


def matches(store: Store) -> set[tuple[Any, ...]]:
    sql = "SELECT m.source_id, k.brand, k.hidden, k.about FROM matches k JOIN mentions m ON m.id = k.mention_id"
    return set(rows(store.path, sql))


def contents(path: Path) -> Mapping[str, Any]:
    """Everything in the database."""
    return {name: rows(path, f"SELECT * FROM '{name}'") for name in counts(path) if not name.startswith("sqlite")}


def tagged(hide: str | None, query: str = "acme", **more: Any) -> Brand:
    return brand(query=query, hide=parse(hide) if hide else None, **more)


def test_posts_gain_the_brands_that_they_name_now(store: Store) -> None:
    keep(store, mention(1, "acme and bolt"), mention(2, "acme"))
    keep(store, mention(3, "bolt jobs"), mention(4, "neither"), brands=[NO_BRAND])
    judge(store)
    done = rematch(store, [brand(), brand("Bolt", hide=parse("jobs"))])
    assert (done.posts, done.changed) == (4, Tally(gained=2))
    assert done.brands == {"Acme": Tally(), "Bolt": Tally(gained=2)}
    assert matches(store) == {
        ("1", "Acme", 0, 1),
        ("1", "Bolt", 0, 1),
        ("2", "Acme", 0, 1),
        ("3", "Bolt", 1, 0),  # no longer under none, and hidden at once
        ("4", NO_BRAND, 0, 1),
    }
    assert store.mentions.pending_count() == 2
    assert kept_counts(store.path) == recounted(store.path)
    judge(store)
    assert kept_counts(store.path) == recounted(store.path)


def test_posts_are_hidden_and_shown_again_and_the_counts_follow(store: Store) -> None:
    keep(store, mention(1, "acme jobs"), mention(2, "acme is awful"), mention(3, "acme jobs, awful"))
    judge(store)
    store.buckets.watched("Acme", store.buckets.unwatched(NOW + DAY)["Acme"], NOW + DAY)
    assert rematch(store, [tagged("jobs")]).changed == Tally(hidden=2)
    assert [trend.mentions for trend in store.trends.by(("day",), Filter())] == [1]
    assert kept_counts(store.path) == recounted(store.path)
    assert "Acme" in store.buckets.unwatched(NOW + DAY), "alerts look at the changed counts again"
    assert rematch(store, [tagged("awful")]).changed == Tally(hidden=1, shown=1)
    assert matches(store) == {("1", "Acme", 0, 1), ("2", "Acme", 1, 0), ("3", "Acme", 1, 0)}
    assert rematch(store, [tagged(None)]).changed == Tally(shown=2)
    assert [trend.mentions for trend in store.trends.by(("day",), Filter())] == [3]
    assert kept_counts(store.path) == recounted(store.path)


def test_a_persons_word_on_a_post_outlasts_hide(store: Store) -> None:
    keep(store, mention(1, "acme jobs"), mention(2, "acme"))
    judge(store)
    wanted, unwanted = sorted(store.mentions.every(Filter()), key=lambda match: match.mention.source_id)
    with store.transaction():
        given = {"sentiment": "positive"}
        store.verdicts.give(
            [Verdict(wanted.id, "ann", NOW, given), Verdict(unwanted.id, "ann", NOW, given, about=False)]
        )
    assert rematch(store, [tagged("jobs OR acme")]).changed == Tally()
    assert matches(store) == {("1", "Acme", 1, 1), ("2", "Acme", 1, 0)}
    assert rematch(store, [tagged(None)]).changed == Tally()
    assert matches(store) == {("1", "Acme", 0, 1), ("2", "Acme", 0, 0)}
    assert kept_counts(store.path) == recounted(store.path)


def test_posts_that_no_longer_match_keep_their_match_and_are_told(store: Store) -> None:
    keep(store, mention(1, "acme road"), mention(2, "acme", author="AcmeHelp"), mention(3, "acme"))
    keep(store, mention(4, "sold"), brands=["Gone"])  # a brand without an entry is left alone
    judge(store)
    before = contents(store.path)
    done = rematch(store, [brand(query="acme NOT road", accounts={"x": "acmehelp"})])
    assert (done.changed, done.brands["Acme"]) == (Tally(kept=2), Tally(kept=2))
    assert contents(store.path) == before


def test_what_an_own_account_wrote_gains_no_brand(store: Store) -> None:
    keep(store, mention(1, "bolt", author="AcmeHelp"), brands=["Bolt"])
    assert rematch(store, [brand(query="bolt", accounts={"x": "acmehelp"})]).changed == Tally()


def test_an_edited_post_that_waits_for_its_score_goes_on_waiting_when_it_is_hidden(store: Store) -> None:
    keep(store, mention(1, "acme is awful"))
    judge(store)
    keep(store, mention(1, "love acme jobs", collected_at=NOW + HOUR))
    assert rematch(store, [tagged("jobs")]).changed == Tally(hidden=1)
    assert store.mentions.pending_count() == 1
    judge(store)
    (match,) = store.mentions.every(Filter(only_about=False))
    assert (match.sentiment, match.about) == ("positive", False)
    assert kept_counts(store.path) == recounted(store.path) == set()


def test_posts_whose_text_is_no_longer_kept_are_left_as_they_are(store: Store) -> None:
    keep(store, mention(1, "acme jobs"))
    with store.transaction():
        store.mentions.add([(mention(2, "acme jobs"), ["Acme"])], hiding([tagged("jobs")]))
        store.forgotten.erase_named("x", ["1", "2"], NOW, "deleted")
    assert rematch(store, [tagged("jobs")]).posts == 0
    assert rematch(store, [tagged(None)]).posts == 0
    assert matches(store) == {("1", "Acme", 0, 1), ("2", "Acme", 1, 0)}


def many(store: Store, count: int = 2 * BATCH + 50) -> list[Brand]:
    """Posts in three batches, and brands whose queries have changed since."""
    texts = ("acme", "acme bolt", "acme jobs", "road acme", "acme bolt jobs")
    keep(store, *(mention(n, texts[n % 5], NOW - n * HOUR) for n in range(count)))
    judge(store)
    return [tagged("jobs", "acme NOT road"), brand("Bolt")]


def test_a_dry_run_says_what_it_would_do_and_does_nothing(store: Store) -> None:
    brands = many(store)
    before = contents(store.path)
    would = rematch(store, brands, dry_run=True)
    assert contents(store.path) == before
    assert rematch(store, brands) == would
    assert would.changed == Tally(gained=260, hidden=260, kept=130)


def test_a_second_run_changes_nothing(store: Store) -> None:
    brands = many(store)
    rematch(store, brands)
    before = contents(store.path)
    assert rematch(store, brands).changed == Tally(kept=130)
    after = contents(store.path)
    assert after == before


@dataclass(frozen=True)
class Stopping(Query):
    """A query during which somebody presses Ctrl-C."""

    left: list[int] = field(default_factory=list)

    def cues(self) -> None:
        return None  # every post is looked at

    def matches(self, text: str) -> bool:
        self.left[0] -= 1
        if self.left[0] == 0:
            raise KeyboardInterrupt
        return super().matches(text)


def test_stopped_at_any_moment_it_leaves_whole_batches_and_goes_on_when_run_again(tmp_path: Path) -> None:
    with Store(tmp_path / "undisturbed.db") as whole:
        rematch(whole, many(whole))
        expected = matches(whole)
    with Store(tmp_path / "stopped.db") as store:
        brands = many(store)
        bolt = brands[1]
        for after in (BATCH + 20, 2 * BATCH + 30):
            query = Stopping(bolt.query.text, bolt.query.root, [after])
            seen: list[int] = []
            with pytest.raises(KeyboardInterrupt):
                rematch(store, [brands[0], replace(bolt, query=query)], progress=seen.append)
            assert seen == [BATCH, 2 * BATCH][: after // BATCH]
            gained = rows(store.path, "SELECT count(*) FROM matches WHERE brand = 'Bolt'")[0][0]
            assert gained == seen[-1] * 2 // 5
            assert kept_counts(store.path) == recounted(store.path)
        rematch(store, brands)
        assert matches(store) == expected


def test_the_command_applies_the_configuration_and_tells_what_it_did(folder: Path) -> None:
    path = configure(folder)
    with Store(folder / "posts.db") as store:
        keep(store, mention(1, "acme jobs"), mention(2, "acme and bolt"), mention(3, "acme"))
        judge(store)
    text = path.read_text().replace('query = "acme"', 'query = "acme"\nhide = "jobs"')
    path.write_text(text + '[[brands]]\nname = "Bolt"\nquery = "bolt"\n')
    tally = {"gained": 1, "hidden": 1, "shown": 0, "kept": 0}
    assert told("query", "apply", "--dry-run") == {"dry_run": True, "posts": 3, **tally} | {
        "brands": {"Acme": {**tally, "gained": 0}, "Bolt": {**tally, "hidden": 0}}
    }
    assert rows(folder / "posts.db", "SELECT count(*) FROM matches WHERE brand = 'Bolt'") == [(0,)]
    shown = said(sentimon("query", "apply", "--dry-run"))
    assert "3 stored posts: what would be done" in shown
    assert "wait for a score" not in shown
    shown = said(sentimon("query", "apply"))
    assert [line.split()[-4:] for line in shown.splitlines() if "posts in all" in line] == [["1", "1", "0", "0"]]
    assert "1 wait for a score: `sentimon run --once --job score`" in shown
    assert len(told("mentions")) == 3  # 2 and 3 for Acme, 2 for Bolt
