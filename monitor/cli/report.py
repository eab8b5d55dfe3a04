"""Report: what channels are sent of a week, as a page in one file: `sentimon report`."""

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from db.errors import InputError
from db.records import Delivery
from monitor.app import draw_digest, draw_journey, utc_now
from monitor.cli.options import open_app, with_config

WEEK = timedelta(days=7)
YEARS = range(1970, 9999)  # nobody posted before, and around them there is room for time zones and weeks beside


class Week(click.ParamType[str]):
    """A week: 2026-W47, or any day of it."""

    name = "week"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Write the Monday that it begins on."""
        text = str(value).strip().upper()
        try:
            if found := re.fullmatch(r"(\d{4})-?W(\d{1,2})", text):
                monday = datetime.fromisocalendar(int(found[1]), int(found[2]), 1)
            else:
                day = datetime.fromisoformat(text)
                monday = day - timedelta(days=day.weekday())
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a week; write 2026-W47, or a day of it as 2026-11-16", param, ctx)
        if monday.year not in YEARS:
            self.fail(f"{value!r} lies too far back or ahead; choose one that is over, from {YEARS[0]} on", param, ctx)
        return f"{monday:%Y-%m-%d}"


@click.command()
@click.option("--week", type=Week(), help="The week, as 2026-W47 or a day of it.  [default: the last full one]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@with_config
def report(week: str | None, out: Path, config_path: Path | None) -> None:
    """Write the report of a week as a page that is one file.

    It says what channels with digest = "weekly" are sent: how people felt, the journey, what changed and why, how soon
    they were answered, alerts, and what could not be read. A week begins on Monday, in the time zone of [desk].
    """
    from jobs.digest import compose_digest
    from jobs.letter import CHART
    from monitor.mail.page import embedded, page

    app = open_app(config_path)
    now = utc_now()
    since, until = span_of(week, app.config.desk.timezone, now)
    if since >= now:
        raise InputError(f"--week: {since:%Y-%m-%d} is yet to come; choose an earlier week")
    delivery = Delivery(0, None, "", "weekly", "sent", 0, 0, now, since=since, until=min(until, now))
    with app.store() as store:
        message = compose_digest(
            store,
            delivery,
            f"sentimon-report-{since:%Y%m%d}",
            about=app.about,
            draw=draw_digest,
            page=page,
            draw_journey=draw_journey,
        )
    pictures = {CHART: message.image} if message.image else {}
    html = embedded(message.html or "", {**pictures, **message.pictures})
    try:
        out.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}; name another with --out") from error
    click.echo(f"{message.title}: written to {out}")


def span_of(week: str | None, timezone: str, now: datetime) -> tuple[datetime, datetime]:
    """Return when a week begins and ends, in UTC; None is the last one that is over."""
    zone = ZoneInfo(timezone)
    day = datetime.fromisoformat(week).date() if week else now.astimezone(zone).date() - WEEK
    monday = day - timedelta(days=day.weekday())
    begins, ends = (datetime.combine(date, time(), zone).astimezone(UTC) for date in (monday, monday + WEEK))
    return begins, ends
