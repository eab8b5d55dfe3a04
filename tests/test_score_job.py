"""Scoring judges what waits, once, whoever stops it when."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from db.buckets import Change
from db.filters import Filter
from db.labels import LABELS
from db.records import NO_BRAND, Score
from db.store import Store
from jobs.score import BATCH, rescore, score
from models.classifier import Post
from tests.support import HOUR, NOW, Keywords, keep, kept_counts, mention, recounted, rows


@dataclass(frozen=True)
class Recording(Keywords):
    """Remembers what it was asked."""

    asked: list[Post] = field(default_factory=list)

    def score(self, posts: Sequence[Post]) -> list[Score]:
        self.asked.extend(posts)
        return super().score(posts)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def test_everything_that_waits_is_judged_and_counted(store: Store) -> None:
    keep(store, *(mention(number, "awful" if number % 3 else "12345") for number in range(BATCH + 50)))
    seen: list[int] = []
    outcome = score(store, Keywords(), lambda: NOW, progress=seen.append)
    unrated = (BATCH + 50 + 2) // 3
    assert outcome.counts == {"rated": BATCH + 50 - unrated, "not_rated": unrated}
    assert seen == [BATCH, 50]
    assert store.mentions.pending_count() == 0
    assert kept_counts(store.path) == recounted(store.path)


def test_what_was_judged_is_not_judged_again(store: Store) -> None:
    keep(store, mention(1))
    classifier = Recording()
    score(store, classifier, lambda: NOW)
    assert score(store, classifier, lambda: NOW).counts == {"rated": 0, "not_rated": 0}
    assert len(classifier.asked) == 1


def test_each_brand_of_a_post_is_judged_for_itself(store: Store) -> None:
    keep(store, mention(1, language="en"), brands=["Acme", "Bolt"])
    keep(store, mention(2), brands=[NO_BRAND])
    classifier = Recording()
    score(store, classifier, lambda: NOW)
    assert [(post.brand, post.language) for post in classifier.asked] == [("Acme", "en"), ("Bolt", "en"), (None, None)]


def test_a_judgement_is_kept_with_its_probabilities_its_model_and_its_time(store: Store) -> None:
    keep(store, mention(1, "love to buy acme"), mention(2, "12345"))
    score(store, Keywords(), lambda: NOW)
    sql = "SELECT model, rated, language, sentiment, positive, stage, stage_probabilities, scored_at FROM scores"
    assert rows(store.path, sql) == [
        ("keywords-1", 1, "en", "positive", 0.9, "purchase", '{"purchase": 1.0}', "2026-03-04T12:00:00Z"),
        ("keywords-1", 0, None, None, None, None, None, "2026-03-04T12:00:00Z"),
    ]
    (match,) = store.mentions.find("love", Filter(), 1)
    assert (match.sentiment, match.stage, match.model, match.negative) == ("positive", "purchase", "keywords-1", 0.03)


def test_the_answers_to_all_questions_are_kept_and_in_force(store: Store) -> None:
    keep(store, mention(1, "damn, acme charged twice in the shop?"), mention(2, "12345"))
    score(store, Keywords(), lambda: NOW)
    sql = "SELECT reply, reply_probability, pillar, touchpoint, emotion, offensive FROM scores ORDER BY match_id"
    assert rows(store.path, sql) == [("yes", 0.8, "process", "store", "anger", "yes"), (None,) * 6]
    given, nothing = (text for (text,) in rows(store.path, "SELECT probabilities FROM scores ORDER BY match_id"))
    assert json.loads(given).keys() == LABELS.keys()
    assert json.loads(given)["reply"] == {"no": 0.2, "yes": 0.8}
    assert nothing is None
    (match,) = store.mentions.find("damn", Filter(), 1)
    assert (match.reply, match.pillar, match.touchpoint, match.emotion, match.offensive) == (
        *("yes", "process", "store", "anger", "yes"),
    )
    assert (match.reviewed, match.about) == (False, True)


def test_a_model_that_knows_fewer_questions_leaves_the_others_open(store: Store) -> None:
    class Terse(Keywords):
        def score(self, posts: Sequence[Post]) -> list[Score]:
            return [
                replace(each, answers={"sentiment": each.answers["sentiment"]}) if each.rated else each
                for each in super().score(posts)
            ]

    keep(store, mention(1, "love acme"))
    score(store, Terse(), lambda: NOW)
    (match,) = store.mentions.every(Filter())
    assert (match.sentiment, match.stage, match.reply, match.emotion) == ("positive", "none", None, None)


def test_it_stops_between_two_batches_when_told_to(store: Store) -> None:
    keep(store, *(mention(number) for number in range(BATCH + 1)))
    done: list[int] = []
    score(store, Keywords(), lambda: NOW, stopping=lambda: bool(done), progress=done.append)
    assert store.mentions.pending_count() == 1


def test_a_crash_keeps_scores_and_counts_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    keep(store, mention(1, "awful"))
    with monkeypatch.context() as patch:
        patch.setattr("db.scores.mark_unwatched", crash)
        with pytest.raises(KeyboardInterrupt):
            score(store, Keywords(), lambda: NOW)
    assert store.mentions.pending_count() == 1
    assert kept_counts(store.path) == set()
    assert rows(store.path, "SELECT * FROM scores") == []
    score(store, Keywords(), lambda: NOW)
    assert store.buckets.unwatched(NOW + HOUR) == {"Acme": Change(NOW, 1)}


def test_two_that_score_at_once_count_once(store: Store) -> None:
    class Raced(Keywords):
        def score(self, posts: Sequence[Post]) -> list[Score]:
            with Store(store.path) as other:
                score(other, Keywords(), lambda: NOW)
            return super().score(posts)

    keep(store, *(mention(number, "awful") for number in range(10)))
    score(store, Raced(), lambda: NOW)
    assert store.trends.by([], Filter())[0].negative == 10
    assert rows(store.path, "SELECT count(*) FROM scores") == [(10,)]


# --- judging anew -----------------------------------------------------------------------------------------------------


def stale(store: Store, model: str = "keywords-2", *brands: str) -> list[int]:
    return store.mentions.judged_by_others(model, Filter(brands=brands))


def test_another_model_judges_anew_what_was_judged_and_its_counts_take_the_place_of_the_others(store: Store) -> None:
    keep(store, *(mention(number, "awful") for number in range(BATCH + 2)))
    score(store, Keywords(), lambda: NOW)
    keep(store, mention("waits", "awful"))
    seen: list[int] = []
    other = Keywords("keywords-2", negative=(), positive=("awful",))
    assert rescore(store, other, stale(store), lambda: NOW, seen.append) == BATCH + 2
    assert seen == [BATCH, BATCH + 2]
    assert (stale(store), len(stale(store, "keywords-1"))) == ([], BATCH + 2)
    assert store.mentions.pending_count() == 1
    assert [(trend.negative, trend.positive) for trend in store.trends.by([], Filter())] == [(0, BATCH + 2)]
    assert kept_counts(store.path) == recounted(store.path)
    assert rows(store.path, "SELECT model, count(*) FROM scores GROUP BY model") == [
        ("keywords-1", BATCH + 2),
        ("keywords-2", BATCH + 2),
    ]


def test_judging_anew_goes_on_where_it_was_stopped(store: Store) -> None:
    class Stopped(Recording):
        def score(self, posts: Sequence[Post]) -> list[Score]:
            if self.asked:
                raise KeyboardInterrupt
            return super().score(posts)

    keep(store, *(mention(number) for number in range(BATCH + 3)))
    score(store, Keywords(), lambda: NOW)
    with pytest.raises(KeyboardInterrupt):
        rescore(store, Stopped("keywords-2"), stale(store), lambda: NOW)
    assert rescore(store, Keywords("keywords-2"), stale(store), lambda: NOW) == 3


def test_a_post_that_goes_while_others_are_judged_anew_is_left_out(store: Store) -> None:
    keep(store, mention(1), mention(2), brands=[NO_BRAND])
    score(store, Keywords(), lambda: NOW)
    ids = stale(store)
    keep(store, mention(1), brands=["Acme"])
    assert rescore(store, Keywords("keywords-2"), ids, lambda: NOW) == 1
    assert stale(store, "keywords-2", "Acme") == []


def test_a_post_that_is_deleted_while_others_are_judged_anew_keeps_its_labels(store: Store) -> None:
    keep(store, *(mention(number, "awful") for number in range(BATCH + 1)))
    score(store, Keywords(), lambda: NOW)
    ids = stale(store)
    last = store.mentions.of(ids[-1:])[0].mention

    def deleted(done: int) -> None:
        if done == BATCH:
            with Store(store.path) as other, other.transaction():
                other.forgotten.erase_named(last.source, [last.source_id], NOW, "deleted")

    other = Keywords("keywords-2", negative=(), positive=("awful",))
    assert rescore(store, other, ids, lambda: NOW, deleted) == BATCH
    labels = "SELECT model, state, sentiment, count(*) FROM matches GROUP BY model, state, sentiment"
    assert rows(store.path, labels) == [
        ("keywords-1", "rated", "negative", 1),
        ("keywords-2", "rated", "positive", BATCH),
    ]
    assert [(trend.negative, trend.positive) for trend in store.trends.by([], Filter())] == [(1, BATCH)]
    assert kept_counts(store.path) == recounted(store.path)
