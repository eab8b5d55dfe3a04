"""The store keeps posts once, counts them exactly, and lets nobody lose what they wrote."""

import random
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from db.errors import DatabaseError, InputError
from db.filters import Filter
from db.labels import UNSURE
from db.mentions import Added
from db.records import NO_BRAND, Match, Position, Reach, Registered
from db.store import Store
from db.trends import Trend
from models.classifier import Post
from tests.support import DAY, HOUR, MINUTE, NOW, Keywords, judge, keep, kept_counts, mention, recounted, rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def rescore(store: Store, classifier: Keywords) -> None:
    """Judge everything again with another model."""
    matches = list(store.mentions.every(Filter()))
    scores = classifier.score([Post(match.mention.text) for match in matches])
    with store.transaction():
        store.scores.save(list(zip(matches, scores, strict=True)), NOW)


def fill(store: Store, seed: int = 1, posts: int = 300) -> None:
    """Three weeks of posts about two brands on two sources, some of which cannot be rated."""
    dice = random.Random(seed)
    texts = ["acme is awful", "love acme", "acme exists", "where to buy acme", "awful buy", "12345"]
    with store.transaction():
        for number in range(posts):
            at = NOW - timedelta(seconds=dice.randrange(21 * 86400))
            brands = dice.choice([("Acme",), ("Bolt",), ("Acme", "Bolt")])
            post = mention(number, dice.choice(texts), at, source=dice.choice(["x", "reddit"]))
            store.mentions.add([(post, brands)])


# --- posts ----------------------------------------------------------------------------------------------------------


def test_a_post_is_kept_as_it_was_collected(store: Store) -> None:
    whole = mention(
        "7",
        "Ünïcode 👩🏽‍🚀\nacme",
        datetime(2026, 3, 1, 9, 8, 7, tzinfo=UTC),
        author="ann",
        url="https://x.com/7",
        language="en",
        in_reply_to="6",
        reach=Reach(1, 2, 3, 4),
    )
    bare = mention("8", author=None)
    keep(store, whole, bare)
    assert [match.mention for match in store.mentions.find(None, Filter(), 10)] == [bare, whole]


def test_the_same_post_twice_adds_nothing(store: Store) -> None:
    with store.transaction():
        first = store.mentions.add([(mention(1), ["Acme"]), (mention(1), ["Acme"])])
    with store.transaction():
        again = store.mentions.add([(mention(1, "as it was before", collected_at=NOW - MINUTE), ["Acme"])])
    assert (first, again) == (Added(1, 1, 1), Added(0, 1, 0))
    assert store.mentions.counts() == (1, 1)
    assert store.mentions.find(None, Filter(), 10)[0].mention.text == "acme is fine"


def test_the_same_id_on_another_platform_is_another_post(store: Store) -> None:
    keep(store, mention(1), mention(1, source="reddit"))
    assert store.mentions.counts_by_source() == {"reddit": 1, "x": 1}


def test_a_post_gains_a_brand_and_keeps_those_it_had(store: Store) -> None:
    keep(store, mention(1))
    judge(store)
    keep(store, mention(1), brands=["Acme", "Bolt"])
    assert [match.brand for match in store.mentions.pending(10)] == ["Bolt"]
    assert store.mentions.brands() == ["Acme", "Bolt"]


def test_foreign_keys_hold_and_readers_need_not_wait(store: Store) -> None:
    assert store._db.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with pytest.raises(sqlite3.IntegrityError):
        store._db.execute("INSERT INTO matches (mention_id, brand, source, created_at) VALUES (99, 'a', 'x', 'now')")


# --- words ----------------------------------------------------------------------------------------------------------


def found(store: Store, text: str | None, chosen: Filter | None = None) -> set[str]:
    return {match.mention.source_id for match in store.mentions.find(text, chosen or Filter(), 100)}


def test_all_the_words_must_stand_in_the_post_in_any_order(store: Store) -> None:
    keep(store, mention(1, "the café charged me twice"), mention(2, "charged my phone"), mention(3, "love it"))
    assert found(store, "twice CHARGED") == {"1"}
    assert found(store, "cafe") == {"1"}
    assert found(store, '"charged my"') == {"2"}
    assert found(store, "charge") == set()
    assert found(store, "someone") == {"1", "2", "3"}  # the author


@pytest.mark.parametrize(
    "text",
    [
        *('"', 'say "hi', '""', "AND", "OR", "NOT", "NEAR(a b)", "*", "char*", "text:acme", "^acme", "a + b", "-x"),
        *("(", ")", "{", "'", "'; DROP TABLE mentions; --", " ", "\n", "\0", "🙃", "?", "\\", "a\0b"),
    ],
)
def test_no_search_text_is_an_error(store: Store, text: str) -> None:
    keep(store, mention(1, "nothing of that sort"))
    assert found(store, text) in (set(), {"1"})
    assert store.mentions.counts() == (1, 1)


@pytest.mark.parametrize("text", [None, "", " ", '""', "\t\n"])
def test_a_search_for_no_word_finds_every_post(store: Store, text: str | None) -> None:
    keep(store, mention(1), mention(2))
    assert found(store, text) == {"1", "2"}


def test_a_search_keeps_to_span_brand_source_stage_and_sentiment(store: Store) -> None:
    keep(store, mention(1, "awful acme", NOW - DAY), mention(2, "awful acme"), mention(3, "love to buy acme"))
    keep(store, mention(4, "awful acme", source="reddit"), brands=["Bolt"])
    judge(store)
    assert found(store, "acme", Filter(since=NOW)) == {"2", "3", "4"}
    assert found(store, "acme", Filter(until=NOW)) == {"1"}
    assert found(store, "acme", Filter(brands=("Bolt",))) == {"4"}
    assert found(store, "acme", Filter(sources=("x",), sentiments=("negative",))) == {"1", "2"}
    assert found(store, None, Filter(stages=("purchase", "none"))) == {"3"}


def test_a_search_keeps_to_reply_pillar_and_touchpoint(store: Store) -> None:
    keep(store, mention(1, "is acme open?"), mention(2, "acme charged me in the shop"), mention(3, "a new acme shop"))
    judge(store)
    assert found(store, None, Filter(replies=("yes",))) == {"1"}
    assert found(store, None, Filter(pillars=("process", "people"))) == {"2"}
    assert found(store, "acme", Filter(touchpoints=("store",))) == {"2", "3"}
    assert found(store, None, Filter(pillars=("product",), touchpoints=("store",), replies=("no",))) == {"3"}


def test_a_deleted_post_is_found_no_more_and_takes_its_rows_along(store: Store) -> None:
    keep(store, mention(1, "unmistakable"), mention(2, "other"))
    judge(store)
    store._db.execute("DELETE FROM mentions WHERE source_id = '1'")
    assert found(store, "unmistakable") == set()
    assert store.mentions.counts() == (1, 1)
    assert rows(store.path, "SELECT count(*) FROM scores") == [(1,)]
    assert rows(store.path, "SELECT count(*) FROM mentions_fts WHERE mentions_fts MATCH 'unmistakable'") == [(0,)]


# --- counts ---------------------------------------------------------------------------------------------------------


def test_counts_equal_a_recount_of_the_posts(store: Store) -> None:
    fill(store)
    assert kept_counts(store.path) == set()
    judge(store)
    assert kept_counts(store.path) == recounted(store.path)
    assert len(kept_counts(store.path)) > 300


def test_counts_equal_a_recount_after_another_model_judged_otherwise(store: Store) -> None:
    fill(store)
    judge(store)
    before = kept_counts(store.path)
    rescore(store, Keywords("keywords-2", negative=("love",), positive=("buy",)))
    assert kept_counts(store.path) == recounted(store.path) != before
    assert rows(store.path, "SELECT DISTINCT model FROM matches") == [("keywords-2",)]
    assert rows(
        store.path, "SELECT count(DISTINCT model), min(n) FROM (SELECT model, count(*) AS n FROM scores GROUP BY model)"
    ) == [(2, store.mentions.counts()[1])]


def test_scoring_twice_counts_once(store: Store) -> None:
    fill(store, posts=40)
    judge(store)
    before = kept_counts(store.path)
    rescore(store, Keywords())
    assert kept_counts(store.path) == before


def test_a_post_that_gains_its_first_brand_is_no_longer_counted_under_none(store: Store) -> None:
    keep(store, mention(1, "awful"), mention(2, "awful"), brands=[NO_BRAND])
    judge(store)
    keep(store, mention(1, "awful"))
    judge(store)
    assert kept_counts(store.path) == recounted(store.path)
    assert [(each.brand, each.negative) for each in store.trends.by([], Filter())] == [(NO_BRAND, 1), ("Acme", 1)]


def test_a_post_that_gains_a_brand_while_it_is_judged_is_counted_under_that_brand(store: Store) -> None:
    class Interrupted(Keywords):
        def score(self, posts: list[Post]) -> list:  # type: ignore[override, type-arg]
            if posts[0].brand is None:
                with Store(store.path) as other:
                    keep(other, mention(1, "awful"))
            return super().score(posts)

    keep(store, mention(1, "awful"), mention(2, "awful"), brands=[NO_BRAND])
    judge(store, Interrupted())
    assert [(each.brand, each.negative) for each in store.trends.by([], Filter())] == [(NO_BRAND, 1), ("Acme", 1)]
    assert store.mentions.pending_count() == 0


# --- trends ---------------------------------------------------------------------------------------------------------


def by(store: Store, *keys: str, **chosen: object) -> dict[tuple[object, ...], tuple[int, int, int, int]]:
    trends = store.trends.by(keys, Filter(**chosen))  # type: ignore[arg-type]
    return {(t.bucket, t.brand, *t.keys.values()): (t.negative, t.neutral, t.positive, t.not_rated) for t in trends}


def summed(store: Store, *keys: str, **chosen: object) -> dict[tuple[object, ...], tuple[int, int, int, int]]:
    """The same, post by post."""
    result: dict[tuple[object, ...], list[int]] = {}
    for match in store.mentions.every(Filter(**chosen)):  # type: ignore[arg-type]
        at = match.mention.created_at
        monday = at - timedelta(days=at.weekday())
        time = {"hour": f"{at:%Y-%m-%dT%H}:00:00Z", "day": f"{at:%Y-%m-%d}", "week": f"{monday:%Y-%m-%d}"}
        names = {"source": match.mention.source, "stage": match.stage or "none"}
        bucket = next((time[key] for key in keys if key in time), None)
        others = [names[key] for key in ("source", "stage") if key in keys]
        place = ["negative", "neutral", "positive", None].index(match.sentiment)
        result.setdefault((bucket, match.brand, *others), [0, 0, 0, 0])[place] += 1
    return {key: (a, b, c, d) for key, (a, b, c, d) in result.items()}


@pytest.mark.parametrize(
    "keys",
    [
        (),
        ("brand",),
        ("hour",),
        ("day",),
        ("week",),
        ("source",),
        ("stage",),
        ("week", "source", "stage"),
        ("day", "stage"),
    ],
)
def test_trends_equal_the_sums_of_the_posts(store: Store, keys: tuple[str, ...]) -> None:
    fill(store)
    judge(store)
    assert by(store, *keys) == summed(store, *keys)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOW - 9 * DAY, NOW - 2 * DAY),
        (NOW - 9 * DAY - 5 * MINUTE, None),
        (None, NOW - 3 * DAY + 35 * MINUTE),
        (NOW - 30 * HOUR, NOW - 5 * HOUR),
        ((NOW - 9 * DAY).replace(hour=0), (NOW - 2 * DAY).replace(hour=0)),
        (datetime(2026, 2, 20, tzinfo=timezone(timedelta(hours=5, minutes=30))), None),
        (datetime(2026, 2, 20, tzinfo=timezone(timedelta(hours=-8))), None),
    ],
)
@pytest.mark.parametrize("keys", [(), ("hour",), ("week",)])
def test_trends_cut_where_the_question_does(
    store: Store, keys: tuple[str, ...], since: datetime | None, until: datetime | None
) -> None:
    fill(store)
    judge(store)
    assert (
        by(store, *keys, since=since, until=until) == summed(store, *keys, since=since, until=until) != by(store, *keys)
    )


def test_trends_of_one_brand_source_and_stage_leave_out_the_others(store: Store) -> None:
    fill(store)
    judge(store)
    chosen = {"brands": ("Acme",), "sources": ("x",), "stages": ("use",)}
    assert by(store, "day", **chosen) == summed(store, "day", **chosen)
    assert len(by(store, **chosen)) == 1


def test_a_week_is_named_by_its_monday(store: Store) -> None:
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    for number, at in enumerate([monday - timedelta(seconds=1), monday, monday + 7 * DAY - timedelta(seconds=1)]):
        keep(store, mention(number, at=at))
    judge(store)
    assert by(store, "week") == {("2026-02-23", "Acme"): (0, 1, 0, 0), ("2026-03-02", "Acme"): (0, 2, 0, 0)}


def test_net_sentiment_is_positive_less_negative_of_all_that_were_rated() -> None:
    trend = Trend(None, "Acme", {}, negative=1, neutral=2, positive=4, not_rated=100)
    assert trend.net_sentiment == round(3 / 7, 4)
    assert trend.mentions == 107
    assert Trend(None, "Acme", {}, 0, 0, 0, 5).net_sentiment is None


def test_what_cannot_be_rated_is_counted_apart(store: Store) -> None:
    keep(store, mention(1, "12345"), mention(2, "acme"))
    judge(store)
    assert by(store) == {(None, "Acme"): (0, 1, 0, 1)}
    (unrated,) = [m for m in store.mentions.every(Filter()) if m.sentiment is None]
    assert (unrated.sentiment, unrated.negative, unrated.model) == (None, None, "keywords-1")
    assert [match.id for match in store.mentions.find(None, Filter(stages=("none",)), 9)] == [unrated.id]


def test_a_stage_of_which_the_model_is_unsure_is_counted_apart_never_as_none(store: Store) -> None:
    keep(store, mention(1, "love acme, perhaps"), mention(2, "12345"), mention(3, "love acme"))
    judge(store)
    assert by(store, "stage") == {
        (None, "Acme", "unsure"): (0, 0, 1, 0),
        (None, "Acme", "none"): (0, 0, 0, 1),
        (None, "Acme", "use"): (0, 0, 1, 0),
    }
    assert found(store, None, Filter(stages=(UNSURE,))) == {"1"}
    assert by(store, stages=(UNSURE,)) == {(None, "Acme"): (0, 0, 1, 0)}
    assert kept_counts(store.path) == recounted(store.path)


# --- models that were trained here ------------------------------------------------------------------------------------


def trained(name: str, **more: object) -> Registered:
    given = {"folder": f"models/{name}", "base": "bundled-1", "created_at": NOW, "posts": 400} | more
    return Registered(name, measures={"sentiment macro recall": 0.75}, **given)  # type: ignore[arg-type]


def test_registered_models_are_kept_as_they_were_given_and_one_at_most_is_in_force(store: Store) -> None:
    assert store.models.in_force() is None
    first, second = trained("second-1"), trained("first-2", in_force=True)
    with store.transaction():
        store.models.register(first)
        store.models.register(second)
    assert store.models.all() == [first, second]
    assert store.models.in_force() == second
    with store.transaction():
        store.models.register(trained("third-3", in_force=True))
        store.models.use("second-1")
    assert [model.name for model in store.models.all() if model.in_force] == ["second-1"]
    with store.transaction():
        store.models.use(None)
    assert store.models.in_force() is None
    assert len(store.models.all()) == 3


def test_a_name_that_is_taken_or_not_there_is_refused_and_changes_nothing(store: Store) -> None:
    with store.transaction():
        store.models.register(trained("one-1", in_force=True))
    with pytest.raises(InputError, match="model one-1: registered already"), store.transaction():
        store.models.register(trained("one-1"))
    with pytest.raises(InputError, match="model two: not registered; there are: one-1"), store.transaction():
        store.models.use("two")
    assert store.models.all() == [trained("one-1", in_force=True)]


# --- several at once ------------------------------------------------------------------------------------------------


def test_two_writers_who_read_before_they_write_lose_nothing(store: Store) -> None:
    store.sources.configured("x-main", "x", "1")
    errors: list[BaseException] = []

    def count() -> None:
        try:
            with Store(store.path) as own:
                for _ in range(60):
                    with own.transaction():
                        position = own.sources.position("x-main", "all")
                        own.sources.move("x-main", "all", Position(str(int(position.cursor or 0) + 1)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert store.sources.position("x-main", "all").cursor == "240"


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    keep(store, mention(1))
    with Store(store.path) as reader, store.transaction():
        store.mentions.add([(mention(2), ["Acme"])])
        reader._db.execute("PRAGMA busy_timeout = 0")
        assert reader.mentions.counts() == (1, 1)
    assert store.mentions.counts() == (2, 2)


@pytest.mark.usefixtures("from_nothing")
def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path, ready, errors = tmp_path / "new.db", threading.Barrier(6), list[BaseException]()

    def begin() -> None:
        ready.wait()
        try:
            with Store(path) as own:
                own.sources.configured("x-main", "x", "1")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []


@pytest.mark.usefixtures("from_nothing")
def test_a_new_file_that_somebody_else_writes_to_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    opening = threading.Thread(target=lambda: Store(path).close())
    opening.start()
    opening.join(0.1)
    assert opening.is_alive()
    writer.execute("COMMIT")
    writer.close()
    opening.join(10)
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert rows(path, "SELECT count(*) FROM mentions") == [(0,)]


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(store: Store) -> None:
    keep(store, mention(1))
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    with pytest.raises(DatabaseError, match=r"cannot be written \(database or disk is full\)"):
        keep(store, mention(2, "acme " * 5000))
    store._db.execute("PRAGMA max_page_count = 100000").fetchone()
    assert store.mentions.counts() == (1, 1)
    keep(store, mention(2, "acme " * 5000))


def test_a_writer_that_never_lets_go_is_told_in_one_line(store: Store) -> None:
    store._db.execute("PRAGMA busy_timeout = 10").fetchone()
    with Store(store.path) as other, other.transaction():
        with pytest.raises(DatabaseError, match="locked"):
            keep(store, mention(1))
        assert store.mentions.counts() == (0, 0)


def test_a_bug_in_a_statement_stays_a_bug(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError), store.transaction():
        store._db.execute("SELECT * FROM nowhere")


def test_a_transaction_that_fails_leaves_nothing_and_frees_the_lock(store: Store) -> None:
    def crash() -> None:
        with store.transaction():
            store.mentions.add([(mention(1), ["Acme"])])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert store.mentions.counts() == (0, 0)
    keep(store, mention(1))
    assert store.mentions.counts() == (1, 1)


# --- the file -------------------------------------------------------------------------------------------------------


def test_anybody_can_read_the_file_with_plain_sqlite(store: Store) -> None:
    keep(store, mention(1, "awful acme", datetime(2026, 3, 4, 13, 30, tzinfo=timezone(HOUR))))
    judge(store)
    assert rows(store.path, "SELECT source, source_id, text, created_at FROM mentions") == [
        ("x", "1", "awful acme", "2026-03-04T12:30:00Z")
    ]
    assert rows(store.path, "SELECT start, negative FROM buckets WHERE span = '1h'") == [("2026-03-04T12:00:00Z", 1)]
    assert rows(store.path, "PRAGMA integrity_check") == [("ok",)]


def test_every_post_is_gone_through_by_time_of_posting(store: Store) -> None:
    fill(store, posts=50)
    times: list[Match] = list(store.mentions.every(Filter()))
    assert [m.mention.created_at for m in times] == sorted(m.mention.created_at for m in times)
    assert len(times) == store.mentions.counts()[1]
