"""Charts as pages show them: drawn wide and narrow, with their numbers and what they can be taken away as."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.trends.asked import Question
from monitor.web.site import Site, seen_from
from monitor.web.trends.charts import Chart


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart in a page, and its `numbers` as a table, in HTML.

    `wide` and `narrow` are SVG of our own making, "" where a table of the page is the chart.
    """

    name: str
    title: str
    query: str
    numbers: str
    wide: str
    narrow: str

    @property
    def address(self) -> str:
        """Where it can be taken away, less the ending."""
        return f"/charts/{self.name}"


def figures(
    site: Site, path: str, charts: Mapping[str, Chart], question: Question, **more: str
) -> Mapping[str, Figure]:
    """Draw the charts of the page at a path, as far as it shows them; addresses say `more` than the question."""
    return {name: _figure(site, path, chart, question.to_query(**more)) for name, chart in charts.items()}


def _figure(site: Site, path: str, chart: Chart, query: str) -> Figure:
    table = chart.table
    numbers = site.templates.get_template("trends/numbers.html").render(table=table) if table.rows else ""

    def to(address: str) -> str:
        return seen_from(path, address)

    wide, narrow = (chart.draw(to, small).inline() if chart.shown else "" for small in (False, True))
    return Figure(table.name, table.title, query, numbers, wide, narrow)
