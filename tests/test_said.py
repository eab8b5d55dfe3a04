"""Several people's words on one post: every reader takes from them the same answer to each question."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from db.cases import Asked
from db.filters import Filter
from db.labels import GUIDE
from db.records import Match, Verdict
from db.store import Store
from jobs.desk import acts
from models import finetune
from models.finetune import Judged
from tests.cli_rig import configure, said, sentimon, told
from tests.desk_rig import ANN, BOB, look, users
from tests.support import HOUR, MINUTE, NOW, judge, keep, kept_counts, mention, recounted, rows

CORRECTED = {"stage": "purchase", "reply": "yes"}
BLIND = {"sentiment": "positive"}


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """The store of a folder for commands, with a post in it."""
    with Store(folder / "posts.db") as store:
        keep(store, mention(1, "awful acme"))
        judge(store)
        yield store


def give(store: Store, who: str, hour: int, labels: dict[str, str], **more: Any) -> None:
    """A word on the post, given so many hours before noon."""
    with store.transaction():
        assert store.verdicts.give([Verdict(1, who, NOW - hour * HOUR, labels, **more)]) == 1


def corrected_then_judged(store: Store) -> None:
    """Ann corrects two labels in sight of the model's; ben, whom a sample shows the post, says one, seeing nothing."""
    give(store, "ann", 2, CORRECTED)
    give(store, "ben", 1, BLIND, random=True)


def in_force(store: Store, *questions: str) -> dict[str, str | None]:
    (match,) = store.mentions.every(Filter(only_about=False))
    return {question: getattr(match, question) for question in questions or (*BLIND, *CORRECTED)}


def words(store: Store, **asked: bool) -> list[tuple[str, dict[str, str], bool]]:
    return [(word.reviewer, dict(word.labels), word.random) for _, word in store.verdicts.all(**asked)]


def judged_on(store: Store) -> dict[str, int]:
    """On how many posts agreement with the model is counted, by question."""
    return {question: store.verdicts.agreement(question, ("Acme",))[1] for question in (*BLIND, *CORRECTED)}


def test_each_answer_counts_as_the_word_of_who_gave_it_and_only_blind_ones_measure(store: Store) -> None:
    corrected_then_judged(store)
    assert in_force(store) == BLIND | CORRECTED
    assert words(store) == [("ann", CORRECTED, False), ("ben", BLIND, True)]
    assert words(store, random_only=True) == [("ben", BLIND, True)]
    assert judged_on(store) == {"sentiment": 1, "stage": 0, "reply": 0}
    assert kept_counts(store.path) == recounted(store.path)


def test_what_is_corrected_later_takes_no_other_answer_out_of_the_measure_and_brings_none_in(store: Store) -> None:
    give(store, "ben", 2, BLIND, random=True)
    give(store, "ann", 1, CORRECTED)
    assert in_force(store) == BLIND | CORRECTED
    assert words(store, random_only=True) == [("ben", BLIND, True)]
    assert judged_on(store) == {"sentiment": 1, "stage": 0, "reply": 0}
    ((_, _, shown),) = store.verdicts.drawn([1])
    assert shown is not None
    assert (shown.reviewer, shown.labels, shown.random) == ("ben", BLIND, True)


def test_who_corrects_what_was_judged_blind_and_more_is_told_of_each_apart(store: Store) -> None:
    give(store, "ben", 2, BLIND, random=True)
    give(store, "ann", 1, {"sentiment": "neutral", "stage": "purchase"})
    assert words(store) == [("ann", {"sentiment": "neutral"}, True), ("ann", {"stage": "purchase"}, False)]
    assert words(store, random_only=True) == [("ann", {"sentiment": "neutral"}, True)]


def test_a_post_that_is_not_about_the_brand_has_that_word_only(store: Store) -> None:
    corrected_then_judged(store)
    give(store, "cleo", 0, {}, about=False)
    ((_, word),) = store.verdicts.all()
    assert (word.reviewer, word.labels, word.about, word.random) == ("cleo", {}, False, True)
    with store.transaction():
        store.verdicts.give([Verdict(1, "ann", NOW + MINUTE, {})])
    assert words(store) == [("ann", CORRECTED, False), ("ben", BLIND, True)]


def test_who_says_again_what_holds_says_nothing_new_but_another_does(store: Store) -> None:
    corrected_then_judged(store)

    def new(who: str, labels: dict[str, str], random: bool = False) -> int:
        with store.transaction():
            return store.verdicts.give([Verdict(1, who, NOW, labels, random)])

    assert new("ann", {"stage": "purchase"}) == 0
    assert new("ben", BLIND) == 0
    assert new("ben", BLIND, random=True) == 0
    assert new("ben", {"stage": "purchase"}) == 1
    assert new("ann", {"stage": "purchase"}, random=True) == 1  # now it measures, too
    assert judged_on(store)["stage"] == 1


def test_the_desk_hears_that_a_person_asked_for_an_answer_whoever_spoke_of_something_else_since(store: Store) -> None:
    keep(store, mention(2, "acme hm"))
    judge(store)
    with store.transaction():
        store.verdicts.give([Verdict(2, "ann", NOW, {"reply": "yes"})])
        store.verdicts.give([Verdict(2, "ben", NOW + MINUTE, {"sentiment": "neutral"}, random=True)])
    assert [(fresh.match.id, fresh.said) for fresh in store.cases.untriaged(NOW + HOUR, 9)] == [(1, False), (2, True)]
    look(store)
    (case,) = store.cases.queue(Asked(), NOW, 9)
    assert case.reason == "asks for an answer (a person said so)"


def test_nobody_is_credited_with_what_somebody_else_said(store: Store) -> None:
    users(store)
    give(store, "cleo", 1, {"pillar": "people"})
    for who, labels in ((ANN, {"stage": "purchase"}), (BOB, {"reply": "yes"})):
        (match,) = store.mentions.every(Filter())
        with store.transaction():
            store.verdicts.give([acts.word(match, who, NOW, labels)])
    assert words(store) == [
        ("cleo", {"pillar": "people"}, False),
        ("ann", {"stage": "purchase"}, False),
        ("bob", {"reply": "yes"}, False),
    ]
    assert in_force(store, "pillar", "stage", "reply") == {"pillar": "people", "stage": "purchase", "reply": "yes"}


# --- commands ---------------------------------------------------------------------------------------------------------


def test_an_export_holds_every_word_that_counts_and_gives_another_database_the_same(store: Store, folder: Path) -> None:
    corrected_then_judged(store)
    assert said(sentimon("verdicts", "export", "out.jsonl")) == "2 verdicts written to out.jsonl\n"
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [(line["reviewer"], line["random"], {q: line[q] for q in GUIDE if line[q]}) for line in lines] == [
        ("ann", False, CORRECTED),
        ("ben", True, BLIND),
    ]
    assert said(sentimon("verdicts", "import", "out.jsonl")) == "0 verdicts new, 2 unchanged\n"
    assert said(sentimon("verdicts", "export", "--random", "drawn.jsonl")) == "1 verdict written to drawn.jsonl\n"
    assert {(one["task"], one["posts"]) for one in told("evaluate", "out.jsonl")} == {
        ("sentiment", 1),
        ("stage", 1),
        ("reply", 1),
    }
    configure(folder, database="other.db")
    with Store(folder / "other.db") as other:
        keep(other, mention(1, "awful acme"))
        judge(other)
        said(sentimon("verdicts", "import", "out.jsonl"))
        assert (in_force(other), words(other), judged_on(other)) == (in_force(store), words(store), judged_on(store))


def test_an_export_of_a_post_that_is_about_the_brand_after_all_is_taken_in(store: Store, folder: Path) -> None:
    give(store, "ann", 2, {}, about=False)
    give(store, "ben", 1, {})
    said(sentimon("verdicts", "export", "out.csv"))
    assert said(sentimon("verdicts", "import", "out.csv")) == "0 verdicts new, 1 unchanged\n"
    configure(folder, database="other.db")
    with Store(folder / "other.db") as other:
        keep(other, mention(1, "awful acme"))
    assert said(sentimon("verdicts", "import", "out.csv")) == "1 verdict new, 0 unchanged\n"
    (folder / "typed.csv").write_text("source,source_id,brand,sentiment\nx,1,Acme,\n")
    typed = sentimon("verdicts", "import", "typed.csv")  # a sheet in which nobody has judged the post yet
    assert typed.exit_code == 1
    assert "line 2: no answer to any of sentiment, " in typed.stderr


def test_a_file_on_one_question_leaves_what_the_team_said_to_others(store: Store, folder: Path) -> None:
    give(store, "ann", 2, CORRECTED)
    (folder / "sheet.csv").write_text("source,source_id,brand,sentiment\nx,1,Acme,positive\n")
    assert said(sentimon("verdicts", "import", "sheet.csv", "--reviewer", "bob")) == "1 verdict new, 0 unchanged\n"
    assert in_force(store) == CORRECTED | {"sentiment": "positive"}


def test_the_model_is_measured_on_what_was_judged_blind_whatever_is_corrected_before_or_since(store: Store) -> None:
    corrected_then_judged(store)
    with store.transaction():
        store.verdicts.give([Verdict(1, "cleo", NOW, {"pillar": "people"})])
    assert {(one["task"], one["posts"]) for one in told("evaluate", "--db")} == {("sentiment", 1)}


def test_a_version_learns_all_that_people_say_of_a_post(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    corrected_then_judged(store)
    keep(store, mention(2, "love acme"))
    with store.transaction():
        store.verdicts.give([Verdict(2, "ann", NOW, {}, about=False)])
    learned: list[Judged] = []

    def attempt(base: Path, current: Path, posts: Iterable[Judged], *more: object) -> None:
        learned.extend(posts)
        raise KeyboardInterrupt

    monkeypatch.setattr(finetune, "attempt", attempt)
    sentimon("train", "--from-verdicts")
    first, second = learned
    assert (first.labels, first.as_drawn().labels, first.random) == (BLIND | CORRECTED, BLIND, True)
    assert (second.labels, second.random) == (finetune.NOT_ABOUT, False)


def test_what_several_people_say_of_a_post_is_one_post_to_learn_from() -> None:
    parts = [Verdict(1, "ann", NOW, CORRECTED), Verdict(1, "ben", NOW, BLIND)]
    found = finetune.judged(Match(1, "Acme", mention(1)), *parts)
    assert (found.labels, found.as_drawn().labels, found.random) == (BLIND | CORRECTED, BLIND | CORRECTED, False)


def test_words_are_kept_as_they_were_given(store: Store) -> None:
    give(store, "ben", 2, BLIND, random=True)
    give(store, "ann", 1, CORRECTED)
    assert rows(store.path, "SELECT reviewer, random, sentiment, stage, reply FROM verdicts ORDER BY id") == [
        ("ben", 1, "positive", None, None),
        ("ann", 0, None, "purchase", "yes"),
    ]
