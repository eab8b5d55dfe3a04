"""Every chart of the pages by its name: the question that it answers, its numbers, and how it is drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from db.filters import Filter
from db.records import Alert
from jobs.trends.compare import Column, Comparison
from jobs.trends.experience import Experience
from jobs.trends.figures import Row
from jobs.trends.journey import Journey
from jobs.trends.overview import Overview
from monitor.plots.bars import moves_chart, rows_chart
from monitor.plots.journey import journey_chart
from monitor.plots.share import lines_chart, matrix_chart, voices_chart
from monitor.plots.style import Plot
from monitor.plots.timeline import timeline
from monitor.web.trends.address import posts_of
from monitor.web.trends.tables import Table, of_cells, of_columns, of_load, of_moves, of_rows, of_steps, of_voices

To = Callable[[str], str]  # writes an address relative to a page

TIMELINE, STAGES, VOICES = (
    "Net sentiment and posts over time",
    "The journey: stages and sentiment",
    "Our brands and competitors",
)
PILLARS, MATRIX, SERVICE = "People, process and product", "Touchpoints by source", "Service and experience over time"
SIDES, MOVES = "Net sentiment side by side", "What changed net sentiment"


@dataclass(frozen=True, slots=True)
class Chart:
    """The numbers of a chart, and how it is drawn: wide or narrow, with links to its posts where `to` is given."""

    table: Table
    draw: Callable[[To | None, bool], Plot]
    shown: bool = True  # in its page; else the page has a table that says more


def of_overview(found: Overview) -> Mapping[str, Chart]:
    """Make the charts of the first page."""

    def over_time(to: To | None, narrow: bool) -> Plot:
        posts, alert = links(to)
        return timeline(found.timeline, TIMELINE, posts, found.alerts, alert, found.read.gaps, narrow)

    def voices(to: To | None, narrow: bool) -> Plot:
        return voices_chart(found.voices, VOICES, links(to)[0], narrow)

    def moved(to: To | None, narrow: bool) -> Plot:
        return moves_chart(moves, MOVES, links(to)[0], narrow)

    moves = found.changes.top if found.changes else ()
    return {
        "timeline": Chart(of_steps("timeline", TIMELINE, found.timeline), over_time),
        "journey": of_stages(found.journey, shown=False),
        "brands": Chart(of_voices("brands", VOICES, found.voices), voices, shown=False),
        "changes": Chart(of_moves("changes", MOVES, moves), moved, shown=False),
    }


def of_stages(rows: Sequence[Row], mark: str = "", shown: bool = True) -> Chart:
    """Make the chart of the journey; `mark` names the stage at which it breaks."""

    def draw(to: To | None, narrow: bool) -> Plot:
        return journey_chart(rows, STAGES, links(to)[0], mark, narrow)

    return Chart(of_rows("journey", STAGES, rows), draw, shown)


def of_journey(found: Journey) -> Mapping[str, Chart]:
    """Make the chart of the page of the journey."""
    return {"journey": of_stages(found.rows, found.breaks.row.name if found.breaks.row else "")}


def of_experience(found: Experience) -> Mapping[str, Chart]:
    """Make the charts of people, process and product."""
    load = found.load

    def pillars(to: To | None, narrow: bool) -> Plot:
        return rows_chart(found.pillars, PILLARS, links(to)[0], "", narrow)

    def matrix(to: To | None, narrow: bool) -> Plot:
        return matrix_chart(found.matrix, MATRIX, links(to)[0], narrow)

    def service(to: To | None, narrow: bool) -> Plot:
        span = found.question.span
        sides = (
            ("service: need an answer", load.service, load.service_steps, load.service_link),
            ("experience: all others", load.experience, load.experience_steps, load.experience_link),
        )
        drawn = [Column(name, span, totals, None, None, steps, (), (), link) for name, totals, steps, link in sides]
        return lines_chart(drawn, SERVICE, links(to)[0], narrow)

    return {
        "pillars": Chart(of_rows("pillars", PILLARS, found.pillars), pillars, shown=False),
        "matrix": Chart(of_cells("matrix", MATRIX, found.matrix), matrix, shown=False),
        "service": Chart(of_load("service", SERVICE, load), service),
    }


def of_comparison(found: Comparison) -> Mapping[str, Chart]:
    """Make the charts of a comparison."""

    def draw(to: To | None, narrow: bool) -> Plot:
        return lines_chart(found.columns, SIDES, links(to)[0], narrow)

    return {"compare": Chart(of_columns("compare", SIDES, found.columns), draw)}


def links(to: To | None) -> tuple[Callable[[Filter], str] | None, Callable[[Alert], str] | None]:
    """Write what marks lead to: posts and alerts; nothing where the chart leaves our pages."""
    if to is None:
        return None, None
    return lambda chosen: to(posts_of(chosen)), lambda alert: to(f"/alerts/{alert.id}")
