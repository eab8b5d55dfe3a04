"""Charts as pages show them: drawn wide and narrow, with their numbers and what they can be taken away as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request

from jobs.trends.asked import Question
from monitor.web.site import relative
from monitor.web.trends.charts import Chart
from monitor.web.trends.tables import Value


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart in a page; `wide` and `narrow` are SVG of our own making, "" where a table of the page is the chart."""

    name: str
    title: str
    query: str
    columns: Sequence[str]
    rows: Sequence[tuple[Value, ...]]
    wide: str = ""
    narrow: str = ""

    @property
    def address(self) -> str:
        """Where it can be taken away, less the ending."""
        return f"/charts/{self.name}"


def figures(request: Request, charts: Mapping[str, Chart], question: Question, **more: str) -> dict[str, Figure]:
    """Draw the charts of a page, as far as the page shows them; `more` is what addresses say beside the question."""
    return {name: _figure(request, chart, question.to_query(**more)) for name, chart in charts.items()}


def _figure(request: Request, chart: Chart, query: str) -> Figure:
    table = chart.table
    about = (table.name, table.title, query)

    def to(address: str) -> str:
        return relative(request, address)

    drawn = [chart.draw(to, narrow).inline() if chart.shown else "" for narrow in (False, True)]
    return Figure(*about, table.columns, table.rows, *drawn)
