"""The numbers of the trends are those of the posts, and say how far they may be off."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.desk import Labels
from db.errors import InputError
from db.filters import Filter
from db.labels import COUNTED_STAGES
from db.records import Alert, Coverage
from db.store import Store
from db.times import to_text
from jobs.trends.asked import Question, Span, parse
from jobs.trends.changes import changes, effects, moves
from jobs.trends.compare import compare
from jobs.trends.experience import FEW, consistency, experience
from jobs.trends.figures import change_of, net_of, share_change
from jobs.trends.journey import ENOUGH, journey, where_it_breaks
from jobs.trends.overview import overview
from jobs.trends.parts import rows
from jobs.trends.terms import ranked
from jobs.trends.timeline import extents_of, read_of
from tests.support import DAY, HOUR, NOW, judge, keep, mention

WEEK_AGO = NOW - 7 * DAY
TEXTS = ("acme awful", "love acme", "acme is fine", "123", "acme charged twice, help?", "love to buy acme at the shop")


def ask(query: str = "days=7") -> Question:
    return parse(parse_qs(query), NOW)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two weeks of posts, more and worse ones in the second, and a competitor that is half as loud."""
    opened = Store(tmp_path / "s.db")
    for number in range(120):
        at = NOW - timedelta(hours=number * 2.7)
        late = at > WEEK_AGO
        text = TEXTS[number % 2] if late and number % 5 else TEXTS[number % 6]
        keep(opened, mention(number, text, at, ("x", "reddit")[number % 2]))
        if number % 2:
            keep(opened, mention(f"b{number}", "love bolt", at), brands=("Bolt",))
    judge(opened)
    return opened


def posts_behind(store: Store, link: Filter) -> int:
    return len(store.mentions.find(None, link, 10_000))


def test_every_number_leads_to_as_many_posts(store: Store) -> None:
    found = overview(store, ask(), ("Acme",), ("Bolt",), NOW)
    assert found.totals.counts.mentions == posts_behind(store, found.link) > 0
    assert [row.name for row in found.journey] == list(COUNTED_STAGES)
    for row in found.journey:
        assert row.compared.counts.mentions == posts_behind(store, row.link)
    for voice in found.voices:
        assert voice.compared.counts.mentions == posts_behind(store, voice.link)
    for step in found.timeline:
        assert step.counts.mentions == posts_behind(store, step.link)
    assert sum(step.counts.mentions for step in found.timeline) == found.totals.counts.mentions
    assert found.changes is not None
    for found_moves in found.changes.parts.values():
        for move in found_moves:
            if move.name != "none":  # what is not rated is counted there, and has no label that it is found by
                assert move.counts.mentions == posts_behind(store, move.link)
                assert move.before.mentions == posts_behind(store, move.link_before)


def test_net_sentiment_is_positive_less_negative_of_all_rated(store: Store) -> None:
    found = overview(store, ask(), ("Acme",), (), NOW)
    counts = found.totals.counts
    assert found.totals.net is not None
    assert found.totals.net.value == pytest.approx((counts.positive - counts.negative) / counts.rated)
    assert found.totals.net.n == counts.rated < counts.mentions
    assert found.totals.net.low < found.totals.net.value < found.totals.net.high
    assert found.totals.growth == pytest.approx(counts.mentions / found.totals.before.mentions - 1)  # type: ignore[union-attr]


def test_share_of_voice_is_of_all_brands_that_are_compared(store: Store) -> None:
    found = overview(store, ask(), ("Acme",), ("Bolt",), NOW)
    acme, bolt = found.voices
    assert (acme.brand, acme.own, bolt.own) == ("Acme", True, False)
    assert acme.share is not None
    assert bolt.share is not None
    assert acme.share.value + bolt.share.value == pytest.approx(1)
    assert acme.share.n == acme.compared.counts.mentions + bolt.compared.counts.mentions
    assert overview(store, ask(), ("Acme",), (), NOW).voices == ()


def test_nothing_of_other_brands_is_seen(store: Store) -> None:
    found = overview(store, ask(), ("\0",), (), NOW)
    assert found.totals.counts == Labels()
    assert found.totals.net is None
    assert found.alerts == ()
    assert all(step.counts == Labels() for step in found.timeline)


def test_a_question_about_no_posts_is_answered(tmp_path: Path) -> None:
    with Store(tmp_path / "empty.db") as empty:
        for query in ("", "days=1", "days=3000&step=week", "against=nothing"):
            found = overview(empty, ask(query), ("Acme",), ("Bolt",), NOW)
            assert (found.totals.counts, found.read.share) == (Labels(), None)
            assert journey(empty, found.question).breaks.how == "not enough"
            assert experience(empty, found.question).sources == ()
        assert compare(empty, ask(), "source").columns == ()


COUNTS = st.builds(Labels, *(st.integers(0, 40) for _ in range(4)))


@given(st.dictionaries(st.sampled_from("abcd"), COUNTS), st.dictionaries(st.sampled_from("abcd"), COUNTS))
def test_what_parts_did_adds_up_to_the_whole_change(now: dict[str, Labels], before: dict[str, Labels]) -> None:
    whole, past = sum(now.values(), Labels()), sum(before.values(), Labels())
    found = moves(ask(), "source", now, before)
    if whole.net is None or past.net is None:
        assert all(move.total == 0 for move in found)
        return
    assert sum(move.total for move in found) == pytest.approx(whole.net - past.net, abs=1e-9)
    assert all(move.mix + move.rate == pytest.approx(move.total) for move in found)
    assert sum(move.volume for move in found) == whole.mentions - past.mentions


def test_a_part_that_only_grew_did_it_by_its_size() -> None:
    happy, sad = Labels(0, 0, 10, 0), Labels(10, 0, 0, 0)
    more = Labels(30, 0, 0, 0)
    mix, rate = effects(more, sad, happy + more, happy + sad)
    assert (mix < 0, abs(rate) < 1e-12) == (True, True)
    mix, rate = effects(Labels(10, 0, 0), Labels(), happy + sad, happy)
    assert (mix < 0, abs(rate) < 1e-12) == (True, True)


def test_a_part_that_only_feels_worse_did_it_by_that() -> None:
    now, before, rest = Labels(10, 0, 0), Labels(5, 0, 5), Labels(5, 0, 5)
    assert effects(now, before, now + rest, before + rest) == pytest.approx((0.0, -0.5))


def test_changes_name_what_moved_net_sentiment_most(store: Store) -> None:
    found = changes(store, ask().of(("Acme",)))
    assert found is not None
    assert found.change is not None
    assert set(found.parts) == {"source", "stage", "pillar", "touchpoint"}
    for kind in found.parts:
        assert sum(move.total for move in found.parts[kind]) == pytest.approx(found.change.value)
    sizes = [abs(move.total) for move in found.top]
    assert sizes == sorted(sizes, reverse=True)
    assert changes(store, ask("against=nothing")) is None
    of_stages = changes(store, ask("days=7&stage=use").of(("Acme",)), words=False)
    assert of_stages is not None
    assert (set(of_stages.parts), of_stages.terms) == ({"source", "stage"}, None)


def test_terms_are_new_that_posts_before_had_not() -> None:
    posts = [f"{n}: the lid leaks" for n in range(20)] + [f"fine kettle {n}" for n in range(80)]
    others = [f"fine kettle {n}" for n in range(100)]
    found = list(ranked(posts, others))
    assert (found[0].text, found[0].posts, found[0].before, found[0].new) == ("lid leaks", 20, 0, True)
    assert all("kettle" not in term.text for term in found)
    assert list(ranked(others, others)) == []
    assert next(iter(ranked(posts, others, frozenset({"lid"})))).text == "leaks"


def test_terms_are_told_from_originals_of_the_brands_asked_for(store: Store) -> None:
    keep(store, *(mention(f"n{n}", f"acme lid leaks {n}", NOW - n * HOUR) for n in range(40)))
    keep(store, *(mention(f"r{n}", "acme parcel lost", NOW - n * HOUR, repost_of="0") for n in range(12)))
    keep(store, *(mention(f"c{n}", "bolt rattles", NOW - n * HOUR) for n in range(12)), brands=("Bolt",))
    judge(store)
    found = changes(store, ask().of(("Acme",)))
    assert found is not None
    assert found.terms is not None
    texts = [term.text for term in found.terms.terms]
    assert "lid leaks" in texts
    assert not any("parcel" in text or "rattles" in text or "acme" in text for text in texts)
    assert found.terms.looked_at == posts_behind(store, found.terms.link) - 12


def made(stages: dict[str, Labels], before: dict[str, Labels] | None = None) -> str:
    found = where_it_breaks(rows(ask(), "stage", stages, before))
    return f"{found.how} {found.row.name}" if found.row else found.how


def test_the_journey_breaks_where_feeling_fell_most() -> None:
    well, ill = Labels(20, 40, 60), Labels(60, 40, 20)
    before = {"purchase": well, "use": well, "advocacy": well}
    assert made({**before, "use": ill, "purchase": Labels(35, 40, 45)}, before) == "dropped use"


def test_without_a_drop_it_breaks_where_people_feel_worse_than_elsewhere() -> None:
    well, ill = Labels(20, 40, 60), Labels(60, 40, 20)
    stages = {"purchase": ill, "use": well, "advocacy": well}
    assert made(stages, stages) == made(stages) == "lowest purchase"
    assert made({"purchase": well, "use": well}) == "nowhere"


def test_few_posts_say_nothing_of_the_journey() -> None:
    few = Labels(ENOUGH - 1, 0, 0)
    assert made({"use": few, "none": Labels(900, 0, 0)}) == "not enough"
    drop = {"use": Labels(ENOUGH, 0, 0), "advocacy": Labels(0, 0, ENOUGH)}
    assert made(drop, {"use": Labels(0, 0, ENOUGH - 1)}) == "lowest use"


def test_experience_counts_touchpoints_by_source(store: Store) -> None:
    found = experience(store, ask().of(("Acme",)))
    cells = {(cell.touchpoint, cell.source): cell for cell in found.matrix}
    assert len(cells) == 8 * len(found.sources)
    assert sum(cell.counts.mentions for cell in found.matrix) == posts_behind(store, ask().of(("Acme",)).posts())
    shops = cells["store", "x"]
    assert shops.counts.mentions == posts_behind(store, shops.link)
    assert all(cell.enough == (cell.counts.rated >= FEW) for cell in found.matrix)
    assert experience(store, ask("days=7&stage=use")).stages_left_out


def test_service_and_experience_share_all_posts_but_those_nobody_could_judge(store: Store) -> None:
    load = experience(store, ask().of(("Acme",))).load
    assert load.service.counts.mentions == posts_behind(store, load.service_link) > 0
    assert load.experience.counts.mentions == posts_behind(store, load.experience_link) > 0
    assert load.unsaid.mentions == load.unsaid.not_rated
    assert load.share is not None
    assert load.share.n == load.service.counts.mentions + load.experience.counts.mentions
    assert sum(step.counts.mentions for step in load.service_steps) == load.service.counts.mentions
    for step in (*load.service_steps, *load.experience_steps):
        assert step.counts.mentions == posts_behind(store, step.link)


def test_consistency_is_the_weighted_standard_deviation_of_parts_with_enough_posts() -> None:
    alike = consistency("source", [Labels(10, 10, 10), Labels(100, 100, 100)])
    assert (alike.spread, alike.beyond_chance, alike.parts, alike.n) == (0, 0, 2, 330)
    apart = consistency("source", [Labels(100, 0, 0), Labels(0, 0, 100), Labels(FEW - 1, 0, 0)])
    assert apart.spread == pytest.approx(1)
    assert (apart.parts, apart.n) == (2, 200)
    chance = consistency("source", [Labels(4, 4, 6), Labels(6, 4, 4)])
    assert chance.spread is not None
    assert chance.spread > 0.1
    assert chance.beyond_chance == 0  # so few posts lie so far apart by chance
    assert consistency("source", [Labels(50, 0, 0)]).spread is None


def test_brands_sources_and_periods_are_put_side_by_side(store: Store) -> None:
    brands = compare(store, ask(), "brand", ("Acme", "Bolt"))
    assert [column.name for column in brands.columns] == ["Acme", "Bolt"]
    assert sum(column.share.value for column in brands.columns if column.share) == pytest.approx(1)
    assert brands.columns[0].difference is None
    assert brands.columns[1].difference is not None
    assert brands.columns[1].difference.certain
    for column in (*brands.columns, *compare(store, ask().of(("Acme",)), "source").columns):
        assert column.totals.counts.mentions == posts_behind(store, column.link)
    now, before = compare(store, ask().of(("Acme",)), "period").columns
    assert now.totals.before == before.totals.counts
    assert len(now.steps) == len(before.steps)
    with pytest.raises(InputError, match="against"):
        compare(store, ask("against=nothing"), "period")
    long = ask("days=1&against=custom&before_since=2016-03-01&before_until=2026-03-01")
    with pytest.raises(InputError, match="step: hours are too many in the 3652 days before; choose a longer step"):
        compare(store, long, "period")
    assert compare(store, long.of(("Acme",)), "brand").columns[0].totals.before
    with pytest.raises(InputError, match="by: there is no 'mood'"):
        compare(store, ask(), "mood")
    assert len(compare(store, ask(), "brand", [f"b{n}" for n in range(20)]).left_out) == 8


def cover(store: Store, name: str, since: datetime, until: datetime, state: str = "complete") -> None:
    with store.transaction():
        store.sources.configured(name, name.split("-")[0], "1")
        cause = None if state == "complete" else "unavailable"
        store.sources.cover(Coverage(name, "posts", until, since, until, state, None, 0, 0, Decimal(0), cause))


def test_hours_that_were_not_read_are_told_with_the_counts(store: Store) -> None:
    cover(store, "x-main", NOW - 3 * DAY, NOW - 2 * DAY)
    cover(store, "x-main", NOW - 2 * DAY, NOW - DAY, "missing")
    cover(store, "x-main", NOW - DAY, NOW + HOUR)
    cover(store, "reddit-main", NOW - 3 * DAY, NOW + HOUR)
    found = overview(store, ask("since=2026-03-01T12&until=2026-03-04T12"), ("Acme",), (), NOW)
    assert (found.read.hours, found.read.missing, found.read.complete) == (144, 24, 120)
    assert found.read.share == pytest.approx(120 / 144)
    (gap,) = found.read.gaps
    assert (gap.start, gap.end, gap.sources, gap.missing) == (NOW - 2 * DAY, NOW - DAY, ("x-main",), True)
    assert [step.read for step in found.timeline if step.start >= NOW - DAY] == [1.0] * 24
    assert {step.read for step in found.timeline if NOW - 2 * DAY <= step.start < NOW - DAY} == {0.5}
    assert overview(store, ask("days=3&source=reddit"), ("Acme",), (), NOW).read.gaps == ()


@given(
    spans=st.lists(
        st.tuples(
            st.integers(0, 90), st.integers(1, 40), st.sampled_from(("complete", "partial", "missing")), st.booleans()
        ),
        max_size=6,
    ),
    late=st.integers(0, 30),
)
@settings(max_examples=20, deadline=None)
def test_hours_added_up_are_the_hours_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, spans: Sequence[tuple[int, int, str, bool]], late: int
) -> None:
    with Store(tmp_path_factory.mktemp("s") / "s.db") as store:
        start = NOW - 5 * DAY
        for since, hours, state, other in sorted(spans):
            begin, end = start + since * HOUR, start + (since + hours) * HOUR - timedelta(minutes=7)
            with store.transaction():
                store.sources.configured("x", "x", "1")
                stream = "b" if other else "a"
                store.sources.cover(Coverage("x", stream, end, begin, end, state, "r", 1, 0, Decimal(0), "bug"))
        now = start + 130 * HOUR + late * HOUR
        one_by_one = store.sources.hours("x", start, now, now)
        for by_hour in (True, False):
            added = store.sources.extent("x", start, now, now, by_hour)
            whole = [hour for hour in one_by_one if hour.state == "complete"]
            names = [to_text(hour.start) if by_hour else to_text(hour.start)[:10] for hour in whole]
            assert dict(added.complete) == {name: names.count(name) for name in names}
            assert sorted(added.short, key=lambda hour: hour.start) == [h for h in one_by_one if h.state != "complete"]


def test_alerts_of_the_span_and_brands_are_marked(store: Store) -> None:
    spike = Alert(
        0,
        "Acme",
        "negative spike",
        NOW - DAY,
        NOW - DAY + HOUR,
        NOW,
        "high",
        9,
        1.0,
        9.0,
        1e-9,
        60,
        20,
        0.4,
        0.1,
        "s",
        (),
    )
    with store.transaction():
        for alert in (
            spike,
            replace(spike, brand="Bolt"),
            replace(spike, starts=NOW - 20 * DAY, last_seen=NOW - 19 * DAY),
        ):
            store.alerts.save(alert, [])
    found = overview(store, ask(), ("Acme",), ("Bolt",), NOW)
    assert [(alert.brand, alert.starts) for alert in found.alerts] == [("Acme", NOW - DAY)]


def test_estimates_are_wider_for_fewer_posts_and_none_of_none() -> None:
    many, few = net_of(Labels(100, 100, 100)), net_of(Labels(3, 3, 3))
    assert many is not None
    assert few is not None
    assert few.high - few.low > 3 * (many.high - many.low)
    assert net_of(Labels(not_rated=4)) is None
    assert change_of(Labels(1), Labels()) is None
    assert share_change(1, 2, 0, 0) is None
    sure = change_of(Labels(90, 10, 0), Labels(0, 10, 90))
    assert sure is not None
    assert sure.certain


def test_a_span_that_nothing_was_read_of_has_no_share() -> None:
    assert read_of(()).share is None


def test_extents_are_asked_of_the_platforms_of_the_question(store: Store) -> None:
    cover(store, "x-main", NOW - DAY, NOW)
    span = Span(NOW - DAY, NOW)
    assert len(extents_of(store, ask("source=x"), span, NOW)) == 1
    assert extents_of(store, ask("source=reddit"), span, NOW) == []
