"""What the templates of trends and posts can call."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from db.filters import Filter
from jobs.trends.asked import Span
from monitor.web.site import Site
from monitor.web.trends.address import posts_of
from monitor.web.trends.question import dates_of
from monitor.web.trends.words import around, label, moment, number, percent, plain, signed, stage, title

NOTHING = "–"


def install(site: Site) -> None:
    """Hand them to the templates; doing so twice changes nothing."""
    site.templates.env.filters.update(
        {
            "brands_query": lambda names: urlencode([("brand", name) for name in names]),
            "cell": cell,
            "dates_of": dates_of,
            "label": label,
            "moment": moment,
            "num": number,
            "percent": percent,
            "plain": plain,
            "posts_of": posts_of,
            "signed": signed,
            "span_words": span_words,
            "stage_name": stage,
            "title_of": title,
            "whole_percent": whole_percent,
            "with_labels": with_labels,
        }
    )
    site.templates.env.globals["around"] = around


def with_labels(chosen: Filter, sentiments: Sequence[str]) -> Filter:
    """Narrow a filter of posts to these sentiments."""
    return replace(chosen, sentiments=tuple(sentiments))


def span_words(span: Span) -> str:
    """Say how long a span is: 28 days. A day that is not over yet is told as a day."""
    hours = round(span.length.total_seconds() / 3600)
    days = math.ceil(hours / 24)
    return f"{hours} hours" if hours < 48 and hours % 24 else "day" if days == 1 else f"{days} days"


def whole_percent(share: float) -> str:
    """Write a share so that 100 % means all of it."""
    return percent(0.99) if 0.99 < share < 1 else percent(share)


def cell(value: Any) -> str:
    """Write a value of a table."""
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return signed(value)
    return number(value) if isinstance(value, int) else str(value)
