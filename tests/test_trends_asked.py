"""Questions to the trends: read from an address, written back to one."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import InputError
from db.filters import Filter
from jobs.trends.asked import DAY, HOUR, Question, Span, parse, query_of
from monitor.web.trends.filters import span_words

NOW = datetime(2026, 3, 4, 12, 20, tzinfo=UTC)  # a Wednesday


def ask(query: str = "") -> Question:
    return parse(parse_qs(query), NOW)


def day(number: int, month: int = 3) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


def test_four_weeks_are_asked_of_where_nothing_else_is_said() -> None:
    question = ask()
    assert question.span == Span(day(5, 2), NOW.replace(hour=13, minute=0))
    assert question.before == Span(day(5, 2) - 28 * DAY, NOW.replace(hour=13, minute=0) - 28 * DAY)
    assert (question.step, question.days, question.to_query()) == ("day", 28, "")


def test_the_period_before_is_no_longer_than_what_of_this_one_is_over() -> None:
    question = ask("since=2026-03-01&until=2026-03-08")
    assert question.until == NOW.replace(hour=13, minute=0)
    assert question.before is not None
    assert question.before == Span(day(22, 2), question.until - 7 * DAY)
    assert question.before.length == question.span.length
    assert "until=2026-03-08" in question.to_query()


def test_a_year_before_has_the_same_days_of_the_week() -> None:
    question = ask("since=2026-02-02&until=2026-02-09&against=year")
    assert question.before is not None
    assert question.before.since == datetime(2025, 2, 3, tzinfo=UTC)
    assert question.before.since.weekday() == question.since.weekday()


def test_any_other_period_and_none_can_be_compared_with() -> None:
    custom = ask("since=2026-02-02&until=2026-02-09&against=custom&before_since=2025-12-01&before_until=2025-12-03")
    assert custom.before == Span(datetime(2025, 12, 1, tzinfo=UTC), datetime(2025, 12, 3, tzinfo=UTC))
    assert ask("against=nothing").before is None


@pytest.mark.parametrize(
    ("query", "step"), [("days=3", "hour"), ("days=4", "day"), ("days=120", "day"), ("days=121", "week")]
)
def test_steps_are_chosen_by_the_span(query: str, step: str) -> None:
    assert ask(query).step == step


def test_weeks_begin_on_monday_and_the_edges_are_cut() -> None:
    steps = ask("since=2026-02-11&until=2026-03-03&step=week").steps()
    assert [step.since for step in steps] == [day(11, 2), day(16, 2), day(23, 2), day(2)]
    assert steps[-1].until == day(3)


def test_steps_cover_the_span_without_a_hole() -> None:
    for query in ("days=2", "days=40", "days=300", "since=2026-02-11T05&until=2026-02-13T07&step=day"):
        question = ask(query)
        steps = question.steps()
        assert (steps[0].since, steps[-1].until) == (question.since, question.until)
        assert all(a.until == b.since for a, b in pairwise(steps))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("days=0", "days: '0' is no number of days"),
        ("days=9999", "days: '9999'"),
        ("days=%D9%A3", "days: '٣'"),
        ("since=yesterday", "since: 'yesterday' is no time; write it as 2026-03-01"),
        ("since=2026-03-01&until=2026-03-01", "until: 2026-03-01 is not after since"),
        ("since=2027-01-01&until=2027-01-03", "since: 2027-01-01 is yet to come"),
        ("since=1990-01-01", "since: the span is longer than ten years"),
        ("since=0001-01-01T00:00%2B23:00", "is no time"),
        ("step=month", "step: there is no 'month'; choose one of hour, day, week"),
        ("days=90&step=hour", "step: hours are too many in 89 days"),
        ("stage=bliss", "stage: there is no 'bliss'"),
        ("against=them", "against: there is no 'them'"),
        ("against=custom", "before_since: nothing is no time"),
        ("brand=a%00b", "brand: this is no name"),
        ("brand=" + "x" * 201, "brand: this is no name"),
        ("&".join(f"source={n}" for n in range(51)), "source: 51 are too many"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(query: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        ask(query)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_empty_fields_of_a_form_say_nothing() -> None:
    assert parse({"since": [""], "until": ["", " "], "brand": [""], "step": [""]}, NOW) == ask()


@given(
    days=st.integers(1, 400),
    brands=st.lists(st.text(st.characters(categories=("L", "P", "S")), min_size=1, max_size=20), max_size=3),
    against=st.sampled_from(("previous", "year", "nothing")),
    stage=st.sampled_from((None, "use", "unsure")),
    week=st.booleans(),
)
def test_a_link_keeps_the_question(days: int, brands: list[str], against: str, stage: str | None, week: bool) -> None:
    given = {"days": [str(days)], "brand": brands, "against": [against], "stage": [stage] if stage else []}
    question = parse(given | ({"step": ["week"]} if week else {}), NOW)
    assert parse(parse_qs(question.to_query()), NOW) == question
    later = parse(parse_qs(question.to_query()), NOW + DAY)
    assert later.since == question.since + DAY  # it goes along with time


def test_a_fixed_span_stays_where_it_is() -> None:
    for query in ("since=2026-02-11T05&until=2026-02-13", "since=2026-03-01&until=2026-04-01&against=custom"):
        more = "&before_since=2026-01-01&before_until=2026-01-02T03" if "custom" in query else ""
        question = ask(query + more)
        assert ask(question.to_query()) == question
        later = parse(parse_qs(question.to_query()), NOW + HOUR)
        assert later.since == question.since


def test_a_span_whose_last_day_goes_on_is_told_in_whole_days() -> None:
    before = ask("days=7").before
    assert before
    assert before.length == 6 * DAY + 13 * HOUR
    assert [span_words(before), span_words(Span(NOW - 30 * HOUR, NOW)), span_words(Span(NOW - DAY, NOW))] == [
        "7 days",
        "30 hours",
        "day",
    ]


def test_parameters_are_set_and_removed_in_an_address() -> None:
    question = ask("brand=Acme&days=7")
    assert question.to_query(page="2", brand=None) == "days=7&page=2"
    assert question.to_query(source=["x", "reddit"]) == "days=7&brand=Acme&source=x&source=reddit"


def test_filters_of_posts_become_addresses() -> None:
    chosen = Filter(
        day(1), day(1) + timedelta(hours=5), ("Acme & Söhne",), ("x",), sentiments=("negative",), touchpoints=("store",)
    )
    assert query_of(chosen) == (
        "since=2026-03-01&until=2026-03-01T05%3A00%3A00Z&brand=Acme+%26+S%C3%B6hne&source=x&sentiment=negative"
        "&touchpoint=store"
    )
