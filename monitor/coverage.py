"""How far each hour was read on each source, for `sentimon status --coverage` and for programs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from db.coverage import HOUR, totals
from db.records import Hour
from db.store import Store
from db.times import floor, to_text
from monitor.config import Config
from monitor.words import counted

SIGNS = {"complete": "#", "partial": "~", "missing": "."}
UNKNOWN = " "
A_DAY = 24


def take_coverage(config: Config, store: Store, since: datetime, now: datetime) -> dict[str, Any]:
    """Gather the hours from `since` to now of every configured source as plain values."""
    month = now.strftime("%Y-%m")
    metered = store.sources.metered(month)
    sources = []
    for source in config.sources:
        found = store.sources.hours(source.name, since, now, now)
        calls, posts, money = metered.get(source.name, (0, 0, 0))
        sources.append(
            {
                "name": source.name,
                "kind": source.kind,
                **totals(found),
                "hours": [
                    {"hour": to_text(hour.start), "state": hour.state, "cause": hour.cause, "reason": hour.reason}
                    for hour in found
                ],
                "not_complete": _spans(found),
                "this_month": {"calls": calls, "posts": posts, "spent": str(money)},
            }
        )
    return {"since": to_text(floor(since, HOUR)), "until": to_text(now), "sources": sources}


def coverage_lines(coverage: Mapping[str, Any]) -> list[str]:
    """Write it for people: a line of signs for each day, and each span that was not read wholly, with its reason."""
    lines = [
        f"Hours from {coverage['since']} to {coverage['until']}, UTC: "
        "# complete, ~ partial, . missing, blank: not known",
    ]
    for source in coverage["sources"]:
        month = source["this_month"]
        lines += [
            "",
            f"{source['name']} ({source['kind']}): {source['complete']} complete, {source['partial']} partial, "
            f"{source['missing']} missing; this month {counted(month['calls'], 'call')}, "
            f"{counted(month['posts'], 'post')}, ${Decimal(month['spent']):.2f} spent",
        ]
        if not source["hours"]:
            lines.append("  nothing was read yet")
        for day, hours in groupby(source["hours"], key=lambda hour: hour["hour"][:10]):
            signs = [UNKNOWN] * A_DAY
            for hour in hours:
                signs[int(hour["hour"][11:13])] = SIGNS[hour["state"]]
            lines.append(f"  {day}  {''.join(signs)}".rstrip())
        lines += [
            f"  {span['since']} to {span['until']}: {span['state']}"
            + "".join(f", {part}" for part in (span["cause"], span["reason"]) if part)
            for span in source["not_complete"]
        ]
    if not coverage["sources"]:
        lines.append("No sources are configured.")
    return lines


def _spans(hours: Sequence[Hour]) -> list[dict[str, str | None]]:
    """Join neighbouring hours that fell short for the same reason."""
    spans: list[dict[str, str | None]] = []
    end: datetime | None = None
    for hour in hours:
        if hour.state == "complete":
            continue
        why = {"state": hour.state, "cause": hour.cause, "reason": hour.reason}
        until = to_text(hour.start + timedelta(hours=1))
        if spans and end == hour.start and all(spans[-1][key] == value for key, value in why.items()):
            spans[-1]["until"] = until
        else:
            spans.append({"since": to_text(hour.start), "until": until, **why})
        end = hour.start + timedelta(hours=1)
    return spans
