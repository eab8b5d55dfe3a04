"""Charts of trends: well-formed, safe in any page, every mark led to its posts, readable without colours."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from db.desk import Labels
from db.filters import Filter
from db.records import Alert
from jobs.trends.asked import Question, Span, query_of
from jobs.trends.changes import moves
from jobs.trends.compare import Column
from jobs.trends.experience import FEW as FEW_IN_CELL
from jobs.trends.experience import Cell
from jobs.trends.figures import Gap, Step, compared, net_of, share_change, share_of
from jobs.trends.journey import WAY
from jobs.trends.overview import Voice
from jobs.trends.parts import rows
from jobs.trends.timeline import name_of
from jobs.trends.timeline import timeline as steps_of
from monitor.plots.bars import moves_chart, rows_chart
from monitor.plots.draw import fitted, part, signed, ticks, when
from monitor.plots.journey import journey_chart
from monitor.plots.share import lines_chart, matrix_chart, voices_chart
from monitor.plots.small import spark
from monitor.plots.style import DARK, LIGHT, NARROW, WIDE, Plot, columns
from monitor.plots.timeline import FEW, told
from monitor.plots.timeline import timeline as timeline_chart
from tests.support import DAY, HOUR, NOW

CSS = (Path(__file__).parent.parent / "monitor" / "web" / "static" / "app.css").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"
MIDNIGHT = NOW.replace(hour=0)
HOSTILE = "</svg><script>alert(1)</script>\u202e\ue000ink\ue001\x00 & \"'javascript:x"


def question(days: int = 28, step: str = "day") -> Question:
    span = Span(MIDNIGHT - days * DAY, MIDNIGHT)
    return Question(span, step, ("Acme",), before=Span(span.since - span.length, span.since))


def address(chosen: Filter) -> str:
    return f"../posts?{query_of(chosen)}"


def steps(days: int = 28, step: str = "day", each: Labels | None = None) -> tuple[Step, ...]:
    asked = question(days, step)
    counts = {
        name_of(one.since, step): each or Labels(10 + number % 5, 20, 12, number % 2)
        for number, one in enumerate(asked.steps())
    }
    return steps_of(asked, counts)


def alert(at: datetime, severity: str = "high", brand: str = "Acme") -> Alert:
    end = at + 3 * HOUR
    return Alert(
        7, brand, "negative spike", at, end, end, severity, 9, 1.0, 9.0, 1e-9, 60, 20, 0.4, 0.1, "9 negative posts", ()
    )


STAGES = {stage: Labels(10 * number, 30, 80 - 10 * number, 3) for number, stage in enumerate(WAY)}
BEFORE = {stage: Labels(5, 30, 40, 0) for stage in WAY}
GAPS = (Gap(MIDNIGHT - 9 * DAY, MIDNIGHT - 8 * DAY, ("x-main",), True),)


def voices(names: Sequence[str] = ("Acme", "Bolt")) -> list[Voice]:
    counts = [Labels(10, 20, 30, 2), Labels(20, 20, 10, 0)]
    return [
        Voice(name, not number, compared(mine, mine), share_of(40, 112), share_change(40, 112, 9, 99), Filter())
        for number, (name, mine) in enumerate(zip(names, counts, strict=True))
    ]


def column(name: str) -> Column:
    counts = Labels(1, 2, 3)
    return Column(name, question().span, compared(counts, None), share_of(1, 2), None, steps(), (), (), Filter())


def cells(each: Labels) -> list[Cell]:
    return [
        Cell(
            place,
            source,
            each,
            net_of(each),
            each.rated >= FEW_IN_CELL,
            Filter(touchpoints=(place,), sources=(source,)),
        )
        for place in ("store", "contact_centre")
        for source in ("x", "reddit")
    ]


def every(narrow: bool = False, name: str = "Acme", at: Callable[[Filter], str] | None = address) -> dict[str, Plot]:
    asked = question()
    return {
        "timeline": timeline_chart(
            steps(), name, at, [alert(MIDNIGHT - 3 * DAY, brand=name)], lambda one: f"../alerts/{one.id}", GAPS, narrow
        ),
        "hours": timeline_chart(steps(3, "hour"), name, at, narrow=narrow),
        "weeks": timeline_chart(steps(200, "week"), name, at, narrow=narrow),
        "rows": rows_chart(rows(asked, "stage", STAGES, BEFORE), name, at, "use", narrow),
        "journey": journey_chart(rows(asked, "stage", STAGES, BEFORE), name, at, "use", narrow),
        "moves": moves_chart(
            moves(asked, "source", {name: Labels(9, 1, 2)}, {name: Labels(1, 1, 9)}), name, at, narrow
        ),
        "voices": voices_chart(voices((name, "Bolt")), name, at, narrow),
        "lines": lines_chart([column(name), column("Bolt")], name, at, narrow),
        "matrix": matrix_chart(cells(Labels(9, 9, 2)), name, at, narrow),
        "spark": spark([1.0, None, 2.0, 3.0], name, around_zero=True),
    }


KINDS = sorted(every())


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_can_stand_in_any_page(kind: str, narrow: bool) -> None:
    """No policy for scripts and styles has anything to refuse, and nothing clashes with another chart."""
    plot = every(narrow)[kind]
    for text in (plot.inline(), plot.svg(), plot.svg(dark=True)):
        found = ET.fromstring(text)
        for element in found.iter():
            assert element.tag.removeprefix(SVG) not in ("style", "script", "image", "use", "foreignObject")
            names = {name.rpartition("}")[2] for name in element.attrib}
            assert not names & {"style", "id", "class"}
            assert not [name for name in names if name.startswith("on")]
        assert "\ue000" not in text
        assert "NaN" not in text
        assert "nan" not in re.sub("[a-z]+nan[a-z]*", "", text)
    width = float(ET.fromstring(plot.inline()).attrib["viewBox"].split()[2])
    assert width == (120 if kind == "spark" else NARROW if narrow else WIDE)


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_strangers_are_text_and_no_more(kind: str) -> None:
    plot = every(name=HOSTILE)[kind]
    for text in (plot.inline(), plot.svg()):
        found = ET.fromstring(text)
        assert not list(found.iter(f"{SVG}script"))
        assert found.attrib["aria-label"] == "</svg><script>alert(1)</script>ink & \"'javascript:x"
        assert all(link.attrib["href"].startswith("../") for link in found.iter(f"{SVG}a"))
        assert "\u202e" not in text


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "spark"])
def test_every_mark_leads_to_its_posts_and_says_what_it_is(kind: str) -> None:
    found = ET.fromstring(every()[kind].inline())
    links = list(found.iter(f"{SVG}a"))
    assert found.attrib["role"] == "group"
    assert links
    for link in links:
        assert link.attrib["href"].startswith(("../posts?", "../alerts/7"))
        title = link.find(f"{SVG}title")
        assert title is not None
        assert link.attrib["aria-label"] == title.text
        assert len(link.attrib["aria-label"]) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_without_addresses_a_chart_is_an_image_with_a_name(kind: str) -> None:
    asked = every(at=None)
    if kind == "timeline":  # its alerts still have theirs
        return
    found = ET.fromstring(asked[kind].inline())
    assert (found.attrib["role"], found.attrib["aria-label"]) == ("img", "Acme")
    assert not list(found.iter(f"{SVG}a"))


def test_the_link_of_a_step_is_that_of_its_posts() -> None:
    found = ET.fromstring(timeline_chart(steps(), "Acme", address).inline())
    hrefs = [link.attrib["href"] for link in found.iter(f"{SVG}a")]
    assert hrefs == [address(step.link) for step in steps()]
    assert "since=2026-02-04&until=2026-02-05&brand=Acme" in hrefs[0]


def test_steps_without_a_post_lead_nowhere() -> None:
    found = ET.fromstring(timeline_chart(steps(each=Labels()), "Acme", address).inline())
    assert not list(found.iter(f"{SVG}a"))
    titles = [title.text or "" for title in found.iter(f"{SVG}title")]
    assert len(titles) == 28
    assert all(title.endswith("no mentions") for title in titles)


def test_bars_are_as_high_as_what_they_count() -> None:
    counts = Labels(10, 30, 20, 0)
    found = ET.fromstring(timeline_chart(steps(each=counts), "Acme", address).inline())
    link = next(found.iter(f"{SVG}a"))
    heights = {
        rect.attrib["fill"]: float(rect.attrib["height"])
        for rect in link.iter(f"{SVG}rect")
        if rect.attrib["fill"] in ("var(--negative)", "var(--neutral)", "var(--positive)")
    }
    assert heights["var(--neutral)"] == pytest.approx(3 * heights["var(--negative)"], abs=0.3)
    assert heights["var(--positive)"] == pytest.approx(2 * heights["var(--negative)"], abs=0.3)


def test_a_step_of_few_posts_is_a_ring_and_not_joined_to_others() -> None:
    few = timeline_chart(steps(each=Labels(0, 0, FEW - 1)), "Acme").inline()
    enough = timeline_chart(steps(each=Labels(0, 0, FEW)), "Acme").inline()
    assert ("<polyline" in few, "<polyline" in enough) == (False, True)
    assert few.count('r="2.4" fill="var(--card)"') == 28


def test_hours_that_were_not_read_are_hatched_and_named() -> None:
    with_gap = timeline_chart(steps(), "Acme", gaps=GAPS).inline()
    assert "not wholly read" in with_gap
    assert with_gap.count("<path") == 3  # above, below, in the legend
    assert "<path" not in timeline_chart(steps(), "Acme").inline()
    outside = Gap(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY, ("x",), True)
    assert timeline_chart(steps(), "Acme", gaps=[outside]).inline().count("<path") == 1
    half = Step(MIDNIGHT, MIDNIGHT + DAY, Labels(1), net_of(Labels(1)), 0.5, Filter())
    assert "50 % of its hours were read wholly" in told(half)


def test_alerts_are_marked_and_lead_to_their_page() -> None:
    found = ET.fromstring(every()["timeline"].inline())
    (link,) = [link for link in found.iter(f"{SVG}a") if "alerts" in link.attrib["href"]]
    assert link.attrib["aria-label"].startswith("Alert, high: negative spike of Acme, 2026-03-01 00:00 UTC. 9 negative")


def test_feelings_are_told_apart_without_colours() -> None:
    text = every()["timeline"].inline()
    assert all(sign in text for sign in ("− negative", "○ neutral", "+ positive", "? not rated"))
    dashes = re.findall(r'stroke-dasharray="([^"]+)"', every()["lines"].inline())
    assert len(set(dashes)) == 1  # the first is drawn through
    cell = every()["matrix"].inline()
    assert "−0.35" in cell


@pytest.mark.parametrize(("each", "point"), [(20, "one day"), (6, "2 days"), (4, "3 days"), (2, "7 days")])
def test_a_line_of_few_posts_a_day_has_several_days_a_point(each: int, point: str) -> None:
    few = replace(column("Bolt"), steps=steps(each=Labels(each - 1, 1, 0)))
    drawn = lines_chart([column("Acme"), few], "Acme").svg()
    assert f"each point: {point}, 10 rated posts at least" in drawn
    assert drawn.count("<polyline") == 2


def test_a_line_of_too_few_posts_says_so() -> None:
    few = replace(column("Bolt"), steps=steps(days=4, each=Labels(1, 0, 0)))
    drawn = lines_chart([column("Acme"), few], "Acme").svg()
    assert "Bolt (too few posts)" in drawn
    assert "Acme (too few posts)" not in drawn
    assert "each point: one day" in drawn


def test_cells_of_few_posts_have_no_colour() -> None:
    text = matrix_chart(cells(Labels(9, 0, 0)), "x", address).inline()
    assert "var(--negative)" not in text
    assert text.count("n 9<") == 4
    assert "too few to say how they feel" in text


def test_the_stage_where_it_breaks_is_pointed_out() -> None:
    assert "breaks here" in every()["journey"].inline()
    stages = rows(question(), "stage", STAGES, None)
    assert "breaks here" not in journey_chart(stages, "x", address).inline()


def test_the_same_rows_give_the_same_picture() -> None:
    assert {kind: plot.inline() for kind, plot in every().items()} == {k: plot.inline() for k, plot in every().items()}


def test_colours_are_those_of_the_pages() -> None:
    light, dark = CSS.split("@media (prefers-color-scheme: dark)", 1)
    for colours, sheet in ((LIGHT, light), (DARK, dark.split("}\n}")[0])):
        stated = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", sheet))
        assert {name: stated[name] for name in colours} == dict(colours)


@pytest.mark.parametrize("kind", ["timeline", "journey", "matrix"])
def test_a_chart_becomes_a_picture_for_a_letter(kind: str) -> None:
    light, dark = every()[kind].png(), every()[kind].png(dark=True)
    assert light.startswith(b"\x89PNG")
    assert light != dark
    assert int.from_bytes(light[16:20]) == 2 * WIDE


def test_rows_are_there_for_a_table() -> None:
    data = every()["timeline"].data
    assert len(data) == 28
    assert columns(data)[:4] == ["start", "end", "mentions", "rated"]
    assert data[0]["mentions"] == steps()[0].counts.mentions
    by_name = {row["name"]: row for row in every()["rows"].data}
    assert by_name["use"]["negative"] == STAGES["use"].negative
    assert by_name["use"]["mentions_before"] == 75
    assert [row["total"] for row in every()["moves"].data] == [pytest.approx(-15 / 11 * 11 / 12 - 0, abs=1)]


def test_a_chart_of_nothing_is_drawn() -> None:
    for narrow in (False, True):
        for plot in (
            timeline_chart((), "x", narrow=narrow),
            rows_chart((), "x", narrow=narrow),
            journey_chart((), "x", narrow=narrow),
            moves_chart((), "x", narrow=narrow),
            voices_chart((), "x", narrow=narrow),
            lines_chart((), "x", narrow=narrow),
            matrix_chart((), "x", narrow=narrow),
            spark((), "x"),
        ):
            ET.fromstring(plot.svg())
            assert plot.data == ()


def test_numbers_are_written_as_people_read_them() -> None:
    assert [signed(value) for value in (0.123, -0.5, 0.001, -0.001)] == ["+0.12", "−0.50", "0.00", "0.00"]
    assert [part(value) for value in (0.5, 0.025, 0.0, 0.0996)] == ["50 %", "2.5 %", "0 %", "10 %"]
    assert ticks(7) == [0, 2, 4, 6, 8]
    assert ticks(0.3)[-1] == pytest.approx(0.3)
    assert fitted("contact centre", 50) == "conta…"
    assert when(MIDNIGHT, MIDNIGHT + HOUR) == "Wed 4 Mar 00:00 UTC"
    assert when(MIDNIGHT, MIDNIGHT + DAY) == "Wed 4 Mar 2026"
    assert when(MIDNIGHT, MIDNIGHT + 7 * DAY) == "4 Mar to 10 Mar 2026"
    assert when(MIDNIGHT, MIDNIGHT + timedelta(hours=13)) == "Wed 4 Mar 2026"
