"""What can be taken away: the numbers of each chart as CSV and JSON, its picture as PNG and SVG.

CSV begins with the mark by which spreadsheets know UTF-8, without which they garble names; what they would run as a
formula gets an apostrophe in front. Times are absolute, so that a file says what it is of.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from db.desk import User
from db.times import to_text
from jobs.trends.asked import Question
from jobs.trends.compare import BY
from monitor.shapes import defused
from monitor.web.auth import need
from monitor.web.errors import NOWHERE
from monitor.web.forms import Refused
from monitor.web.site import SEEN, Site
from monitor.web.trends import answers
from monitor.web.trends.address import word
from monitor.web.trends.charts import Chart
from monitor.web.trends.compare import asked_of
from monitor.web.trends.question import brands_for, read

KINDS: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
}


def mount(app: FastAPI, site: Site) -> None:
    """Add /charts/NAME.KIND, which takes the question of the page."""

    @app.api_route("/charts/{name}.{kind}", methods=SEEN)
    def take(name: str, kind: str, request: Request, user: User = Depends(need("viewer"))) -> Response:  # noqa: B008
        if kind not in KINDS:
            raise Refused(404, NOWHERE)
        by = word(request, "by", BY) or "brand"
        question = asked_of(request, site, user, by) if name == "compare" else read(request, site, user)
        chart = answers.chart(site, name, question, brands_for(site.config, user), by)
        if chart is None:
            raise Refused(404, NOWHERE)
        called = f"sentimon-{name}-{question.since:%Y%m%d}-{question.until:%Y%m%d}.{kind}"
        headers = {"Content-Disposition": f'attachment; filename="{called}"'}
        return Response(_WRITERS[kind](chart, question), media_type=KINDS[kind], headers=headers)


def _csv(chart: Chart, question: Question) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(chart.table.columns)
    writer.writerows([defused(value) for value in row] for row in chart.table.rows)
    return target.getvalue().encode("utf-8-sig")


def _json(chart: Chart, question: Question) -> bytes:
    table, before = chart.table, question.before
    said = {
        "title": table.title,
        "formula": table.formula,
        "since": to_text(question.since),
        "until": to_text(question.until),
        "before": {"since": to_text(before.since), "until": to_text(before.until)} if before else None,
        "step": question.step,
        "brands": list(question.brands),
        "sources": list(question.sources),
        "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
    }
    return json.dumps(said, ensure_ascii=False, indent=1).encode()


def _png(chart: Chart, question: Question) -> bytes:
    return chart.draw(None, False).png()


def _svg(chart: Chart, question: Question) -> bytes:
    return chart.draw(None, False).svg().encode()


_WRITERS: Mapping[str, Callable[[Chart, Question], bytes]] = {"csv": _csv, "json": _json, "png": _png, "svg": _svg}
