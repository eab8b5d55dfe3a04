"""A person's word wins over every model's, for as long as no newer one is given."""

import heapq
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from db.buckets import Change
from db.errors import InputError
from db.filters import Filter
from db.labels import GUIDE, LABELS
from db.records import NO_BRAND, Match, Verdict
from db.store import Store
from jobs.rules import Watching
from jobs.watch import watch
from models.classifier import Post
from tests.support import DAY, HOUR, MINUTE, NOW, Keywords, judge, keep, kept_counts, mention, recounted, rows

FIVE = {"sentiment": "positive", "stage": "advocacy", "reply": "yes", "pillar": "people", "touchpoint": "email"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def give(store: Store, *verdicts: Verdict) -> int:
    with store.transaction():
        return store.verdicts.give(verdicts)


def verdict(match: Match, minutes: int = 0, reviewer: str = "ann", about: bool = True, **given: Any) -> Verdict:
    """A word on a match, given so many minutes after noon."""
    drawn = given.pop("random", False)
    return Verdict(match.id, reviewer, NOW + minutes * MINUTE, given, drawn, about)


def scored(store: Store, *texts: str, brand: str = "Acme") -> list[Match]:
    """Posts with their scores, in the order of the texts."""
    known = store.mentions.counts()[0]
    keep(store, *(mention(known + n, text, NOW - n * MINUTE) for n, text in enumerate(texts)), brands=[brand])
    judge(store)
    return sorted(store.mentions.every(Filter(brands=(brand,))), key=lambda match: match.id)[-len(texts) :]


def rescore(store: Store, classifier: Keywords) -> None:
    """Judge everything again with another model."""
    matches = list(store.mentions.every(Filter(only_about=False)))
    scores = classifier.score([Post(match.mention.text) for match in matches])
    with store.transaction():
        store.scores.save(list(zip(matches, scores, strict=True)), NOW)


def now(store: Store, match: Match) -> Match:
    return next(m for m in store.mentions.every(Filter(only_about=False)) if m.id == match.id)


def labels(match: Match) -> dict[str, str | None]:
    return {question: getattr(match, question) for question in GUIDE}


# --- what is in force -------------------------------------------------------------------------------------------------


def test_a_persons_answers_are_in_force_and_the_models_to_the_other_questions(store: Store) -> None:
    (match,) = scored(store, "damn awful acme")
    give(store, verdict(match, sentiment="positive", reply="yes"))
    after = now(store, match)
    assert labels(after) == labels(match) | {"sentiment": "positive", "reply": "yes"}
    assert (after.emotion, after.offensive, after.model) == ("anger", "yes", "keywords-1")
    assert (after.reviewed, after.about) == (True, True)


def test_all_five_questions_of_the_guide_can_be_answered(store: Store) -> None:
    (match,) = scored(store, "awful acme")
    give(store, verdict(match, **FIVE))
    assert labels(now(store, match)) == FIVE
    assert rows(store.path, "SELECT sentiment, stage, reply, pillar, touchpoint FROM verdicts") == [(*FIVE.values(),)]


def test_a_later_model_answers_only_what_the_person_did_not(store: Store) -> None:
    first, second = scored(store, "awful acme", "awful acme to buy")
    give(store, verdict(first, sentiment="neutral", stage="none"))
    rescore(store, Keywords("keywords-2", negative=(), positive=("awful",)))
    assert (now(store, first).sentiment, now(store, first).stage, now(store, first).emotion) == (
        "neutral",
        "none",
        "joy",
    )
    assert (now(store, second).sentiment, now(store, second).stage) == ("positive", "purchase")
    assert {now(store, match).model for match in (first, second)} == {"keywords-2"}
    assert kept_counts(store.path) == recounted(store.path)


@pytest.mark.parametrize("name", ["another-1", "very-new-1"])
def test_what_a_person_leaves_open_is_answered_by_the_latest_model(store: Store, name: str) -> None:
    (match,) = scored(store, "awful acme")
    rescore(store, Keywords(name, negative=(), positive=("awful",)))
    give(store, verdict(match, stage="none"))
    assert (now(store, match).sentiment, now(store, match).stage, now(store, match).model) == ("positive", "none", name)


def test_how_surely_a_post_is_negative_is_settled_by_a_persons_word(store: Store) -> None:
    blamed, praised, other = scored(store, "love acme", "awful acme", "awful acme")
    give(
        store,
        verdict(blamed, sentiment="negative"),
        verdict(praised, sentiment="positive"),
        verdict(other, reply="yes"),
    )
    assert [now(store, match).negative for match in (blamed, praised, other)] == [1.0, 0.0, 0.9]


def test_the_newest_word_wins_in_whatever_order_they_come(store: Store) -> None:
    (match,) = scored(store, "awful acme")
    assert give(store, verdict(match, 5, sentiment="neutral"), verdict(match, 1, sentiment="positive")) == 2
    assert now(store, match).sentiment == "neutral"
    assert give(store, verdict(match, 3, reviewer="bob", sentiment="positive")) == 1
    assert now(store, match).sentiment == "neutral"
    assert give(store, verdict(match, 5, reviewer="bob", sentiment="negative")) == 1
    assert now(store, match).sentiment == "negative"
    assert rows(store.path, "SELECT count(*) FROM verdicts") == [(4,)]


def test_a_newer_word_that_leaves_a_question_open_takes_nothing_back_of_what_was_said_to_it(store: Store) -> None:
    (match,) = scored(store, "awful acme")
    give(store, verdict(match, **FIVE))
    give(store, verdict(match, 1, "bob", reply="no"))
    assert labels(now(store, match)) == FIVE | {"reply": "no"}
    rescore(store, Keywords("keywords-2"))
    assert labels(now(store, match)) == FIVE | {"reply": "no"}


def test_an_older_word_that_comes_later_counts_where_no_newer_one_answers(store: Store) -> None:
    (match,) = scored(store, "awful acme")
    give(store, verdict(match, 5, sentiment="neutral"))
    assert give(store, verdict(match, 1, "bob", sentiment="positive", stage="purchase")) == 1
    assert labels(now(store, match)) == labels(match) | {"sentiment": "neutral", "stage": "purchase"}


def test_what_was_said_already_is_not_kept_again(store: Store) -> None:
    first, second = scored(store, "awful acme", "love acme")
    file = [
        verdict(first, 1, sentiment="neutral"),
        verdict(first, 2, reviewer="bob", sentiment="positive"),
        verdict(second, 1, about=False),
    ]
    assert give(store, *file) == 3
    before = kept_counts(store.path)
    assert give(store, *file) == 0
    assert give(store, verdict(first, 9, reviewer="bob", sentiment="positive")) == 0
    assert rows(store.path, "SELECT count(*) FROM verdicts") == [(3,)]
    assert kept_counts(store.path) == before
    assert give(store, verdict(first, 10, sentiment="positive")) == 1  # another person says so too


def test_a_word_on_a_post_that_waits_wins_when_it_is_scored(store: Store) -> None:
    keep(store, mention(1, "awful acme"))
    (match,) = store.mentions.pending(1)
    give(store, verdict(match, sentiment="positive"))
    assert kept_counts(store.path) == set()
    assert store.mentions.pending_count() == 1
    assert (now(store, match).sentiment, now(store, match).stage) == ("positive", None)
    judge(store)
    assert (now(store, match).sentiment, now(store, match).stage) == ("positive", "use")
    assert store.trends.by([], Filter())[0].positive == 1


def test_a_post_that_no_model_can_rate_is_rated_by_a_person(store: Store) -> None:
    felt, staged = scored(store, "12345", "67890")
    give(store, verdict(felt, sentiment="negative"), verdict(staged, stage="purchase"))
    assert (now(store, felt).sentiment, now(store, felt).negative) == ("negative", 1.0)
    assert (now(store, staged).sentiment, now(store, staged).stage) == (None, "purchase")
    counted = {t.keys["stage"]: (t.negative, t.not_rated) for t in store.trends.by(["stage"], Filter())}
    assert counted == {"none": (1, 0), "purchase": (0, 1)}


def test_an_unknown_post_or_label_is_refused_and_nothing_of_the_lot_is_kept(store: Store) -> None:
    (match,) = scored(store, "awful acme")
    good = verdict(match, sentiment="positive")
    for bad, line in (
        (replace(good, match_id=99), "match 99: no such post in this database"),
        (
            verdict(match, sentiment="sad"),
            f"match {match.id}: sentiment cannot be 'sad'; choose from negative, neutral",
        ),
        (verdict(match, stage="unsure"), "stage cannot be 'unsure'"),
        (verdict(match, emotion="joy"), "no verdict is given on emotion; but on sentiment, stage"),
    ):
        with pytest.raises(InputError, match=line):
            give(store, good, bad)
    assert rows(store.path, "SELECT * FROM verdicts") == []
    assert now(store, match) == match


# --- counts -----------------------------------------------------------------------------------------------------------


def test_counts_equal_a_recount_after_many_verdicts_and_another_model(store: Store) -> None:
    dice = random.Random(3)
    texts = ["acme is awful", "love acme", "acme exists", "where to buy acme", "perhaps acme", "12345"]
    posts = [mention(n, dice.choice(texts), NOW - dice.random() * 9 * DAY) for n in range(200)]
    keep(store, *posts, brands=["Acme", "Bolt"])
    judge(store)
    matches = list(store.mentions.every(Filter()))
    for _ in range(5):
        before = kept_counts(store.path)
        chosen = dice.sample(matches, 60)
        give(
            store,
            *(
                verdict(match, dice.randrange(1000), about=dice.random() > 0.3)
                if dice.random() < 0.5
                else verdict(match, dice.randrange(1000), **{q: dice.choice(LABELS[q]) for q in dice.sample(GUIDE, 2)})
                for match in chosen
            ),
        )
        assert kept_counts(store.path) == recounted(store.path) != before
    rescore(store, Keywords("keywords-2", negative=("love",), positive=("buy",)))
    assert kept_counts(store.path) == recounted(store.path)


def test_a_verdict_makes_the_brand_watched_again_from_the_post_on(store: Store) -> None:
    match, _ = scored(store, "awful acme", "awful acme")
    scored(store, "awful bolt", brand="Bolt")
    for brand, change in store.buckets.unwatched(NOW + HOUR).items():
        store.buckets.watched(brand, change, NOW + HOUR)
    give(store, verdict(match, sentiment="positive"))
    assert store.buckets.unwatched(NOW + HOUR) == {"Acme": Change(NOW, 1)}


def test_a_crash_keeps_verdicts_labels_and_counts_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    (match,) = scored(store, "awful acme")
    before = kept_counts(store.path)
    with monkeypatch.context() as patch:
        patch.setattr("db.scores.mark_unwatched", crash)
        with pytest.raises(KeyboardInterrupt):
            give(store, verdict(match, sentiment="positive"))
    assert rows(store.path, "SELECT * FROM verdicts") == []
    assert (now(store, match), kept_counts(store.path)) == (match, before)


# --- posts that are not about the brand -------------------------------------------------------------------------------


SPIKES = Watching(["negative spike"])


def spike(store: Store) -> list[Match]:
    """Two quiet weeks, then fifty complaints in two hours, and the alert about them; returns its posts."""
    dice = random.Random(5)
    texts = ["awful weather at acme", "love acme", "acme opened a shop", "acme sells tea"]
    keep(
        store,
        *(mention(f"s{n}", dice.choice(texts), NOW - dice.random() * 14 * DAY, author=f"s{n}") for n in range(250)),
    )
    keep(store, *(mention(f"c{n}", "charged twice", NOW - dice.random() * 2 * HOUR, author=f"c{n}") for n in range(50)))
    judge(store)
    assert watch(store, SPIKES, NOW).counts["opened"] == 1
    return store.mentions.of_alert(1)


def test_a_post_that_is_not_about_the_brand_counts_nowhere_and_its_row_stays(store: Store) -> None:
    posts = spike(store)
    match = posts[0]
    number = match.mention.source_id
    before = store.trends.by([], Filter())[0]
    assert give(store, verdict(match, about=False)) == 1
    assert store.trends.by([], Filter())[0] == replace(before, negative=before.negative - 1)
    assert kept_counts(store.path) == recounted(store.path)
    assert number not in {m.mention.source_id for m in store.mentions.find(None, Filter(), 1000)}
    assert number not in {m.mention.source_id for m in store.mentions.every(Filter())}
    assert len(store.mentions.of_alert(1)) == store.mentions.count_of_alert(1) == len(posts) - 1
    assert len(store.cases.waiting(Filter(), 1000)) == store.cases.count() == len(posts) - 1
    assert match.id not in {case.match.id for case in store.cases.waiting(Filter(), 1000)}
    assert store.mentions.counts() == (300, 300)
    assert rows(store.path, "SELECT about, reviewed, sentiment FROM matches WHERE id = ?", match.id) == [
        (0, 1, "negative")
    ]
    assert number in {m.mention.source_id for m in store.mentions.every(Filter(only_about=False))}


def test_a_post_that_is_about_the_brand_after_all_counts_again(store: Store) -> None:
    posts = spike(store)
    before = kept_counts(store.path)
    give(store, verdict(posts[0], about=False))
    give(store, verdict(posts[0], 1, reviewer="bob"))
    assert kept_counts(store.path) == before
    assert {post.id for post in store.mentions.of_alert(1)} == {post.id for post in posts}


def test_a_spike_of_posts_that_are_not_about_the_brand_is_over(store: Store) -> None:
    posts = spike(store)
    give(store, *(verdict(post, about=False) for post in posts))
    watch(store, SPIKES, NOW + 2 * HOUR)
    (alert,) = store.alerts.find(Filter())
    assert alert.ends is not None
    assert store.mentions.of_alert(1) == []


def test_a_post_that_is_not_negative_after_all_is_none_of_an_alerts_negative_posts(store: Store) -> None:
    posts = spike(store)
    give(store, verdict(posts[0], sentiment="neutral"))
    assert store.mentions.count_of_alert(1) == len(posts) - 1
    assert {post.id for post in store.mentions.of_alert(1)} == {post.id for post in posts[1:]}


def test_the_newest_post_of_a_brand_is_one_about_it(store: Store) -> None:
    newest, older = scored(store, "awful acme", "love acme")
    give(store, verdict(newest, about=False))
    assert store.mentions.newest("Acme") == older.mention.created_at


# --- samples and what was said ----------------------------------------------------------------------------------------


def test_a_sample_holds_rated_posts_without_a_verdict_whatever_the_model_made_of_them(store: Store) -> None:
    judged, *others = scored(store, "awful acme", "awful acme", "love acme", "acme exists", "12345")
    scored(store, "awful bolt", brand="Bolt")
    keep(store, mention("waits"))
    give(store, verdict(judged, sentiment="neutral"))
    drawn = store.verdicts.sample(50, "Acme", seed=1)
    assert {match.id for match, _ in drawn} == {match.id for match in others[:3]}
    assert {match.brand for match, _ in store.verdicts.sample(50, None, seed=1)} == {"Acme", "Bolt"}
    assert store.verdicts.sample(50, "Nobody", seed=1) == []


def test_a_sample_tells_what_the_model_in_force_says(store: Store) -> None:
    (match,) = scored(store, "damn, acme charged twice in the shop?")
    rescore(store, Keywords("keywords-2"))
    assert store.verdicts.sample(1, None, seed=1) == [
        (now(store, match), *Keywords("keywords-2").score([Post(match.mention.text)]))
    ]


def test_the_same_seed_draws_the_same_posts_and_every_post_is_drawn_as_often(store: Store) -> None:
    scored(store, *["acme exists"] * 20)

    def drawn(seed: int) -> list[int]:
        return [match.id for match, _ in store.verdicts.sample(5, None, seed)]

    assert drawn(4) == drawn(4)
    assert len(set(drawn(4))) == 5
    often = Counter(number for seed in range(400) for number in drawn(seed))
    assert len(often) == 20
    assert 60 < min(often.values()) <= max(often.values()) < 140  # 100 expected, give or take four deviations


def test_what_was_said_is_told_with_its_post_the_newest_word_only(store: Store) -> None:
    first, second = scored(store, "awful acme", "love acme")
    (bolt,) = scored(store, "awful bolt", brand="Bolt")
    newest = verdict(first, 2, "bob", **FIVE)
    beside = verdict(second, about=False, random=True)
    other = verdict(bolt, reply="no")
    give(store, newest, verdict(first, 1, reply="no"), beside, other)
    assert list(store.verdicts.all()) == [
        (now(store, first), newest),
        (now(store, second), beside),
        (now(store, bolt), other),
    ]
    assert [word for _, word in store.verdicts.all(brand="Bolt")] == [other]
    assert [word for _, word in store.verdicts.all(random_only=True)] == [beside]
    assert list(store.verdicts.all(random_only=True, brand="Bolt")) == []


def test_a_post_drawn_at_random_stays_so_when_it_is_corrected_later(store: Store) -> None:
    (match,) = scored(store, "awful acme")
    give(store, verdict(match, random=True, sentiment="negative"))
    give(store, verdict(match, 1, reviewer="bob", sentiment="neutral"))
    ((_, word),) = store.verdicts.all(random_only=True)
    assert (word.reviewer, word.labels, word.random) == ("bob", {"sentiment": "neutral"}, True)


def test_what_was_told_of_a_post_drawn_at_random_is_nothing_new_when_it_comes_back(store: Store) -> None:
    (match,) = scored(store, "awful acme")
    give(store, verdict(match, random=True, sentiment="negative"), verdict(match, 1, "bob", sentiment="neutral"))
    give(store, verdict(match, 2, "bob", reply="no"))
    words = [word for _, word in store.verdicts.all()]
    assert words == [
        verdict(match, 1, "bob", random=True, sentiment="neutral"),
        verdict(match, 2, "bob", reply="no"),
    ]
    assert give(store, *words) == 0
    assert rows(store.path, "SELECT count(*) FROM verdicts") == [(3,)]


def test_who_had_been_judged_by_a_time_does_not_change_with_what_is_said_later(store: Store) -> None:
    first, second, _ = scored(store, "awful acme", "love acme", "acme exists")
    give(store, verdict(first, 1, reply="no"), verdict(first, 9, reply="yes"), verdict(second, 5, about=False))
    assert store.verdicts.judged_by(NOW) == set()
    assert store.verdicts.judged_by(NOW + MINUTE) == {first.id}
    assert store.verdicts.judged_by(NOW + 5 * MINUTE) == {first.id, second.id}


def test_a_sample_leaves_out_a_post_that_goes_while_it_is_drawn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = scored(store, "awful acme", "love acme", brand=NO_BRAND)
    smallest = heapq.nsmallest

    def drawn(*args: Any, **more: Any) -> list[Any]:
        found = smallest(*args, **more)
        keep(store, first.mention, brands=["Acme"])
        return found

    monkeypatch.setattr(heapq, "nsmallest", drawn)
    assert [match.id for match, _ in store.verdicts.sample(2, None, seed=1)] == [second.id]


def test_what_people_change_on_a_post_with_a_case_is_in_its_trail_wherever_they_say_it(store: Store) -> None:
    first, second = scored(store, "awful acme", "awful acme again")
    with store.transaction():
        store.cases.open(first, None, "asks for an answer", 1.0, NOW)
    give(store, verdict(first, 5, sentiment="neutral"), verdict(second, 5, sentiment="neutral"))
    give(store, verdict(first, 3, "bob", sentiment="positive"))  # older than what counts
    give(store, verdict(first, 6, "bob", sentiment="neutral"))  # agrees with it
    give(store, verdict(first, 7, "bob", about=False, sentiment="neutral"))
    told = [(each.what, each.who, each.at, dict(each.detail)) for each in store.cases.events(1)][1:]
    assert told == [
        ("corrected", "ann", NOW + 5 * MINUTE, {"sentiment": "from negative to neutral"}),
        ("corrected", "bob", NOW + 7 * MINUTE, {"about_us": "from yes to no"}),
    ]
    assert store.cases.newest_event() == 3


def test_the_trail_tells_no_change_of_a_label_that_nobody_spoke_of(store: Store) -> None:
    (match,) = scored(store, "awful acme, charged twice")
    with store.transaction():
        store.cases.open(match, None, "asks for an answer", 1.0, NOW)
    keep(store, replace(match.mention, text="awful acme, i buy elsewhere", collected_at=NOW + MINUTE))  # not rated yet
    give(store, verdict(match, 5, sentiment="positive"))
    judge(store)
    give(store, verdict(match, 6, "bob", stage="use"))
    assert trail(store) == [
        ("ann", NOW + 5 * MINUTE, {"sentiment": "from negative to positive"}),
        ("bob", NOW + 6 * MINUTE, {"stage": "from purchase to use"}),
    ]


def test_the_trail_tells_an_older_word_that_comes_later_as_the_word_of_who_gave_it(store: Store) -> None:
    (match,) = scored(store, "awful acme")
    with store.transaction():
        store.cases.open(match, None, "asks for an answer", 1.0, NOW)
    give(store, verdict(match, 5, "ben", random=True, sentiment="positive"))
    give(store, verdict(match, 1, sentiment="neutral", stage="purchase"))
    assert trail(store) == [
        ("ben", NOW + 5 * MINUTE, {"sentiment": "from negative to positive"}),
        ("ann", NOW + 1 * MINUTE, {"stage": "from use to purchase"}),
    ]


def test_of_two_verdicts_on_a_post_taken_in_at_once_each_is_told_as_its_own(store: Store) -> None:
    first, second = scored(store, "awful acme", "awful acme again")
    with store.transaction():
        store.cases.open(first, None, "asks for an answer", 1.0, NOW)
    word = verdict(second, 5, sentiment="neutral")
    assert give(store, verdict(first, 5, sentiment="neutral"), word, word, verdict(first, 6, "bob", stage="none")) == 3
    assert trail(store) == [
        ("ann", NOW + 5 * MINUTE, {"sentiment": "from negative to neutral"}),
        ("bob", NOW + 6 * MINUTE, {"stage": "from use to none"}),
    ]


def test_no_change_is_told_from_before_there_was_a_case(store: Store) -> None:
    (match,) = scored(store, "awful acme")
    with store.transaction():
        store.cases.open(match, None, "asks for an answer", 1.0, NOW + 2 * MINUTE)
    give(store, verdict(match, 1, sentiment="neutral"))
    assert trail(store) == [("ann", NOW + 2 * MINUTE, {"sentiment": "from negative to neutral"})]


def trail(store: Store) -> list[tuple[str | None, datetime, dict[str, str]]]:
    """Which labels the trail of the first case says that somebody changed."""
    return [(each.who, each.at, dict(each.detail)) for each in store.cases.events(1) if each.what == "corrected"]
