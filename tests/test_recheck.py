"""Posts are looked up again on their platform: what was deleted loses its text, what was edited has the new one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from db.errors import CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from db.filters import Filter
from db.records import Batch, Checked, Mention, Position
from db.store import Store
from jobs.collect import Source
from jobs.collector import Meter
from jobs.outcome import Outcome
from jobs.recheck import recheck
from tests.support import DAY, HOUR, MINUTE, NOW, Keywords, brand, judge, keep, kept_counts, mention, recounted, rows

MONTH = 30 * DAY
BRANDS = [brand(), brand("Bolt")]


@dataclass
class Shows:
    """A platform that says what it shows: `now` by id, where it is another text, `gone` what it does not show."""

    now: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    platform: str = "x"
    check_size: int = 3
    faults: list[CollectorError | None] = field(default_factory=list)  # of the coming questions
    later: list[Checked] = field(default_factory=list)  # said first to the coming questions: it takes its time
    also: list[Mention] = field(default_factory=list)  # shown though nobody asked
    price: Decimal = Decimal(0)
    asked: list[tuple[list[str], str | None]] = field(default_factory=list)

    def streams(self) -> Sequence[str]:
        return ("Acme",)

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        yield Batch((), cursor="1")

    def check(self, ids: Sequence[str], resume: str | None, meter: Meter, now: datetime) -> Checked:
        self.asked.append((list(ids), resume))
        if self.faults and (fault := self.faults.pop(0)):
            raise fault
        if self.price:
            meter.reserve(self.price)
            meter.settle(self.price)
        if self.later:
            return self.later.pop(0)
        seen = [
            mention(i, self.now.get(i, "acme is fine"), NOW, self.platform, collected_at=now)
            for i in ids
            if i not in self.gone
        ]
        return Checked([i for i in ids if i in self.gone], [*seen, *self.also])

    @property
    def ids(self) -> list[list[str]]:
        return [ids for ids, _ in self.asked]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        with opened.transaction():
            for name in ("x-main", "y"):
                opened.sources.configured(name, "x", "1")
        yield opened


def source(collector: Any, name: str = "x-main", **more: Any) -> Source:
    return Source(name, "x", collector, "1", **more)


def turn(
    store: Store,
    *collectors: Any,
    now: datetime = NOW + DAY + MINUTE,
    age: timedelta = MONTH,
    most: int = 10,
    **more: Any,
) -> Outcome:
    sources = [source(each, name, **more) for each, name in zip(collectors, ("x-main", "y"), strict=False)]
    return recheck(store, sources, {each.name: age for each in sources}, BRANDS, now, most)


def texts(store: Store) -> dict[str, str]:
    return {match.mention.source_id: match.mention.text for match in store.mentions.every(Filter())}


def test_a_deleted_post_loses_text_and_author_and_stays_counted(store: Store) -> None:
    keep(store, mention(1, "acme is awful"), mention(2))
    judge(store)
    counted = kept_counts(store.path)
    assert turn(store, Shows(gone={"1"})).counts == {"checked": 2, "deleted": 1}
    first = next(match for match in store.mentions.every(Filter()) if match.mention.source_id == "1")
    assert (first.mention.text, first.mention.author, first.sentiment) == ("", None, "negative")
    assert first.mention.shown == "(deleted on its platform)"
    assert kept_counts(store.path) == counted == recounted(store.path)


def test_an_edited_post_has_its_new_text_and_is_judged_anew(store: Store) -> None:
    keep(store, mention(1, "acme is awful"), mention(2))
    judge(store)
    turn(store, Shows(now={"1": "i love acme and bolt"}))
    judge(store, Keywords())
    found = {(match.brand, match.mention.text, match.sentiment) for match in store.mentions.every(Filter())}
    assert found == {
        ("Acme", "i love acme and bolt", "positive"),
        ("Bolt", "i love acme and bolt", "positive"),
        ("Acme", "acme is fine", "neutral"),
    }
    assert rows(store.path, "SELECT text FROM versions") == [("acme is awful",)]
    assert kept_counts(store.path) == recounted(store.path)


def test_an_edited_post_that_names_no_brand_any_more_is_brought_up_to_date_too(store: Store) -> None:
    keep(store, mention(1))
    turn(store, Shows(now={"1": "never mind"}))
    assert texts(store) == {"1": "never mind"}


def test_what_nobody_asked_about_is_not_stored(store: Store) -> None:
    keep(store, mention(1))
    turn(store, Shows(also=[mention(7), mention(1, source="reddit")]))
    assert rows(store.path, "SELECT source, source_id FROM mentions") == [("x", "1")]


def test_each_post_is_asked_about_once_a_day_from_the_day_after_it_was_read(store: Store) -> None:
    keep(store, mention(1))
    platform = Shows()
    for hours, times in ((23, 0), (25, 1), (26, 1), (48, 1), (50, 2)):
        turn(store, platform, now=NOW + hours * HOUR)
        assert len(platform.asked) == times


def test_those_asked_about_longest_ago_come_first_in_chunks_and_the_rest_later(store: Store) -> None:
    keep(store, *(mention(number, collected_at=NOW - number * MINUTE) for number in range(8)))
    platform = Shows()
    assert turn(store, platform, most=2).counts["checked"] == 6
    assert platform.ids == [["7", "6", "5"], ["4", "3", "2"]]
    turn(store, platform, most=2)
    assert platform.ids[2:] == [["1", "0"]]


def test_only_posts_of_the_platform_that_are_young_enough_and_not_gone_are_asked_about(store: Store) -> None:
    keep(store, mention(1), mention(2, at=NOW - 40 * DAY, collected_at=NOW), mention(3, source="reddit"), mention(4))
    with store.transaction():
        store.forgotten.erase_named("x", ["4"], NOW, "deleted")
    platform = Shows()
    turn(store, platform)
    assert platform.ids == [["1"]]


def test_a_source_that_is_told_not_to_asks_nothing(store: Store) -> None:
    keep(store, mention(1))
    platform = Shows()
    recheck(store, [source(platform)], {}, BRANDS, NOW + 2 * DAY)
    assert platform.asked == []


def test_a_source_asks_only_about_posts_that_it_can_tell_of(store: Store) -> None:
    keep(store, *(mention(f"https://{host}/1") for host in ("a.example", "b.example")))
    one, other = Shows(), Shows()
    one.check_prefix, other.check_prefix = "https://a.example/", "https://b.example/"  # type: ignore[attr-defined]
    turn(store, one, other)
    assert (one.ids, other.ids) == ([["https://a.example/1"]], [["https://b.example/1"]])


def test_two_sources_of_a_platform_ask_about_a_post_once(store: Store) -> None:
    keep(store, mention(1))
    platform = Shows()
    turn(store, platform, platform)
    assert platform.ids == [["1"]]


class TestPlatformThatTakesItsTime:
    def test_the_same_posts_are_asked_about_with_what_it_gave_when_it_says(self, store: Store) -> None:
        keep(store, mention(1), mention(2), mention(3), mention(4))
        at = NOW + 2 * DAY
        platform = Shows(gone={"2"}, later=[Checked(resume="job-7", again_at=at + HOUR)])
        assert turn(store, platform, now=at).counts["checked"] == 0
        assert rows(store.path, "SELECT DISTINCT checked_at FROM mentions") == [(None,)]
        turn(store, platform, now=at + 59 * MINUTE)
        assert platform.asked == [(["1", "2", "3"], None)]
        assert turn(store, platform, now=at + HOUR).counts == {"checked": 4, "deleted": 1}
        assert platform.asked[1:] == [(["1", "2", "3"], "job-7"), (["4"], None)]

    def test_what_it_knows_already_is_stored(self, store: Store) -> None:
        keep(store, mention(1), mention(2))
        platform = Shows(later=[Checked(gone=["1"], resume="job-7")])
        assert turn(store, platform, most=1).counts == {"checked": 0, "deleted": 1}
        assert texts(store)["1"] == ""
        turn(store, platform, most=1)
        assert platform.asked[1] == (["1", "2"], "job-7")


class TestTrouble:
    def check_lives(self, store: Store) -> None:
        state = store.sources.state("x-main")
        assert state
        assert (state.paused, state.not_before) == (None, None)

    def test_a_rate_limit_is_waited_for_and_the_live_runs_go_on(self, store: Store) -> None:
        keep(store, mention(1))
        at = NOW + 2 * DAY
        platform = Shows(faults=[RateLimited("slow down", at + HOUR)])
        assert turn(store, platform, now=at) == Outcome({"checked": 0, "deleted": 0}, None, "x-main: slow down")
        self.check_lives(store)
        turn(store, platform, now=at + 59 * MINUTE)
        assert len(platform.asked) == 1
        assert turn(store, platform, now=at + HOUR).counts["checked"] == 1

    def test_a_rate_limit_forgets_no_question_that_is_under_way(self, store: Store) -> None:
        keep(store, mention(1))
        at = NOW + 2 * DAY
        platform = Shows(
            later=[Checked(resume="job-7")],
            faults=[None, RateLimited("slow down", at + HOUR)],
        )
        turn(store, platform, now=at)
        turn(store, platform, now=at + MINUTE)
        turn(store, platform, now=at + HOUR)
        assert platform.asked == [(["1"], None), (["1"], "job-7"), (["1"], "job-7")]

    def test_a_refusal_is_told_and_tried_again_the_next_day(self, store: Store) -> None:
        keep(store, mention(1))
        at = NOW + 2 * DAY
        platform = Shows(faults=[NotAuthorised("the plan has no lookup")])
        assert turn(store, platform, now=at).error == "x-main: the plan has no lookup"
        self.check_lives(store)
        assert turn(store, platform, now=at + 23 * HOUR).error is None
        assert turn(store, platform, now=at + DAY).counts["checked"] == 1

    def test_no_answer_erases_nothing_and_is_tried_again(self, store: Store) -> None:
        keep(store, mention(1))
        platform = Shows(faults=[SourceUnavailable("no answer")])
        assert turn(store, platform).error == "x-main: no answer"
        assert texts(store) == {"1": "acme is fine"}
        assert turn(store, platform).counts["checked"] == 1

    def test_posts_that_it_always_fails_at_hold_up_no_others(self, store: Store) -> None:
        keep(store, *(mention(number) for number in range(1, 8)))
        platform = Shows(check_size=1, faults=[SourceUnavailable("odd"), None, None, SourceUnavailable("odd")])
        for _ in range(2):
            turn(store, platform, most=3)
        assert platform.ids == [["1"], ["2"], ["3"], ["4"]]
        platform.faults = []
        turn(store, platform, most=9)
        assert [ids for ids in platform.ids if ids in (["1"], ["4"])] == [["1"], ["4"], ["1"], ["4"]]

    def test_a_job_of_the_platform_that_fails_is_begun_anew(self, store: Store) -> None:
        keep(store, mention(1))
        platform = Shows(later=[Checked(resume="job 1")], faults=[None, SourceUnavailable("no such job")])
        turn(store, platform)
        assert turn(store, platform).error == "x-main: no such job"
        assert turn(store, platform).counts["checked"] == 1
        assert [resume for _, resume in platform.asked] == [None, "job 1", None]

    def test_a_paused_or_waiting_source_is_left_alone(self, store: Store) -> None:
        keep(store, mention(1))
        platform = Shows()
        with store.transaction():
            store.sources.wait("x-main", NOW, "slow down", NOW + 3 * DAY)
        turn(store, platform)
        with store.transaction():
            store.sources.resume("x-main")
            store.sources.pause("x-main", NOW, "no credit")
        turn(store, platform)
        assert platform.asked == []

    def test_a_bug_of_one_source_keeps_no_other_from_its_turn(self, store: Store) -> None:
        keep(store, mention(1), mention(1, source="y"))
        broken, other = Shows(check_size=-1), Shows(platform="y")
        broken.later = [replace(Checked(), gone=5)]  # type: ignore[arg-type]  what no collector should answer
        with pytest.raises(TypeError):
            turn(store, broken, other)
        assert other.ids == [["1"]]

    def test_money_that_the_live_runs_may_need_is_not_spent(self, store: Store) -> None:
        keep(store, *(mention(number) for number in range(9)))
        platform = Shows(price=Decimal(1))
        outcome = turn(store, platform, monthly_budget=Decimal(4))  # half is kept while nothing else is known
        assert outcome.counts["checked"] == 6
        assert outcome.note
        assert "budget" in outcome.note
        self.check_lives(store)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_at_any_commit_every_post_is_asked_about_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    class Killed(BaseException):
        pass

    path = tmp_path / "s.db"
    platform = Shows(gone={"3", "5"})
    with Store(path) as store:
        with store.transaction():
            store.sources.configured("x-main", "x", "1")
        keep(store, *(mention(number) for number in range(8)))
        transaction, count = store.transaction, [0]

        def fragile() -> Any:
            count[0] += 1
            if count[0] == at:
                raise Killed
            return transaction()

        monkeypatch.setattr(store, "transaction", fragile)
        with pytest.raises(Killed):
            turn(store, platform)
    with Store(path) as store:
        turn(store, platform)
        assert sorted(post for post, text in texts(store).items() if not text) == ["3", "5"]
        assert rows(path, "SELECT count(*) FROM mentions WHERE checked_at IS NULL AND gone_at IS NULL") == [(0,)]
