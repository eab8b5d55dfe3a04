"""How numbers, times, slices and alerts are put into words; and what is taken from words that strangers wrote."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from db.records import ONE_STREAM, Alert, Part

BRAND_SHOWN = 60  # characters; an imported file may have named it
NAME_SHOWN = 40  # of a source or a term
STREAM_SHOWN = 80
REASON_SHOWN = 150  # of why a single post matters

_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
    r"|[\ud800-\udfff]"
)
_HIDDEN_TAGS = re.compile("(?<![\U0001f3f4\U000e0000-\U000e007f])[\U000e0000-\U000e007f]+")  # flags need theirs
_MENTION = re.compile("[@＠]")
_DOMAIN = re.compile(r"(?<=\w)\.(?=[^\W\d_])")  # "evil.example" becomes a link in many services
_PARAMETERS = re.compile(r"(://[^\s?]*)\?\S*")  # of an address: a key may be among them
_ENTITY = re.compile(r"&(?=#?\w+;)")
_BREAK = "\u200b"

_PILLARS = {"people": "about its people", "process": "about its processes", "product": "about its product"}
_HOW_MUCH = ((1.0, "all"), (0.85, "almost all"), (0.5, "mostly"))


def harmless(text: str, most: int | None = None) -> str:
    """Take from a stranger's text what chat services and terminals act on, and cut it to `most` characters.

    Mass mentions, markup, links, control characters and those that turn the direction of writing or hide. What is left
    is one line and looks the same.
    """
    if most is not None:
        text = text[: 20 * most]  # of 100,000 characters the end is not shown: it need not be cleaned
    text = _HIDDEN_TAGS.sub("", _CONTROL.sub("", " ".join(text.split())))
    for sign in "*_`~<>[]|":
        text = text.replace(sign, "")
    text = " ".join(text.split())
    if most is not None and len(text) > most:
        text = text[: most - 1] + "…"
    text = _ENTITY.sub(f"&{_BREAK}", text.replace("://", f":{_BREAK}//"))
    return _DOMAIN.sub(f".{_BREAK}", _MENTION.sub(lambda sign: sign[0] + _BREAK, text))


def number(value: float) -> str:
    """Write a count or an expectation as exactly as it matters: 0.47, 3.2, 1,206."""
    if value >= 10 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def roughly(value: int) -> str:
    """Write a reach: 870, 12,000, 1.2 million."""
    if value >= 1_000_000:
        return f"{value / 1e6:.1f} million"
    return f"{value:,}" if value < 10_000 else f"{round(value, -3):,}"


def percent(share: float) -> str:
    """Write a share of 0 to 1; a small one is not called none."""
    return "under 1%" if 0 < share < 0.005 else f"{share:.0%}"


def posts(count: int, kind: str = "post") -> str:
    """Write a number of posts."""
    return f"{count:,} {kind}" if count == 1 else f"{count:,} {kind}s"


def length(span: timedelta) -> str:
    """Write how long something took, in its two largest units: 25 min, 2 h 5 min, 3 days 4 h."""
    minutes = max(round(span.total_seconds() / 60), 0)
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} day{'s' if days > 1 else ''}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{minutes} min"


def window(minutes: int) -> str:
    """Write the length of a window: 15 min, 3 h, 7 days."""
    return "24 h" if minutes == 24 * 60 else length(timedelta(minutes=minutes))


def moment(time: datetime) -> str:
    """Write a time so that it is read at once: Sat 2026-11-21 16:20 UTC."""
    return f"{time.astimezone(UTC):%a %Y-%m-%d %H:%M} UTC"


def between(start: datetime, end: datetime) -> str:
    """Write from when to when: Sat 2026-11-21 16:20 to 18:25 UTC."""
    same = start.astimezone(UTC).date() == end.astimezone(UTC).date()
    last = f"{end.astimezone(UTC):%H:%M} UTC" if same else moment(end)
    return f"{moment(start).removesuffix(' UTC')} to {last}"


def place(kind: str, name: str) -> str:
    """Write where posts are: "on reddit", "at the stage purchase", "about its processes"."""
    shown = harmless(name.replace("_", " "), NAME_SHOWN)
    if kind in ("source", "language"):
        return f"{'on' if kind == 'source' else 'in'} {shown}"
    if name == "none":
        return f"with no {kind}"
    return _PILLARS.get(name, f"about {shown}") if kind == "pillar" else f"at the {kind} {shown}"


def parts(chosen: Sequence[Part], all_parts: Sequence[Part]) -> str:
    """Write how much of what was observed lies in each of some slices, "" where there are none."""
    texts: list[str] = []
    before = None
    for one in chosen:
        most = max(sum(other.observed for other in all_parts if other.kind == one.kind), one.observed)
        share = one.observed / most if most else 0.0
        words = next((words for least, words in _HOW_MUCH if share >= least), "partly")
        count = f"({one.observed:,} of {most:,})"
        texts.append(" ".join([*([words] if words != before else []), place(one.kind, one.name), count]))
        before = words
    text = ", ".join(texts)
    return f"{text[:1].upper()}{text[1:]}"


def subject(alert: Alert) -> str:
    """Name what an alert is about: the brand, with the slice where it is about one; a source, or a stream of it."""
    if alert.rule == "stale source":
        source = source_of(alert)
        stream = harmless(_PARAMETERS.sub(r"\1?…", alert.stream), STREAM_SHOWN)
        return f"{source} ({stream})" if stream else source
    brand = harmless(alert.brand, BRAND_SHOWN)
    kind, _, name = alert.scope.partition(" ")
    if name and alert.rule != "single post" and kind in ("source", "stage", "pillar", "touchpoint"):
        return f"{brand} {place(kind, name)}"
    return brand


def source_of(alert: Alert) -> str:
    """Name the source that is stale, or one of whose streams is."""
    return harmless(alert.scope.partition(ONE_STREAM)[0] or alert.brand, BRAND_SHOWN)


def against_expected(alert: Alert) -> str:
    """Write what was seen against what was expected, with its 95 % interval and how many times as much it is."""
    kind = "negative post" if alert.rule in ("negative spike", "share shift") else "mention"
    text = f"{posts(alert.observed, kind)} in {window(alert.window_minutes)}"
    interval = f" ({number(alert.low)} to {number(alert.high)})" if alert.high > 0 else ""
    if alert.factor < 1.05:
        return f"{text}, {number(alert.expected)} expected{interval}"
    factor = f"{alert.factor:.1f}" if alert.factor < 10 else f"{alert.factor:,.0f}"
    return f"{text}, {factor} times the {number(alert.expected)} expected{interval}"


def shares(alert: Alert) -> str:
    """Write the share of negatives now and before, "" where the rule does not know it."""
    if not alert.mentions or not (alert.share or alert.usual_share):
        return ""
    mentions = posts(alert.mentions, "mention")
    return f"{percent(alert.share)} of its {mentions} negative, usually {percent(alert.usual_share)}"


def summary(alert: Alert) -> str:
    """Say in one line, of 300 characters at most, what an alert is about: for lists and for `Alert.summary`.

    Of a single post `in_common` says why it matters. Needs no story.
    """
    if alert.rule == "stale source":
        return f"{subject(alert)}: not read since {moment(alert.starts)}"
    if alert.rule == "single post":
        return f"{subject(alert)}: {alone(alert)}{reasons(alert)}"
    if alert.rule == "silence":
        return f"{subject(alert)}: {against_expected(alert)}, though its sources were read"
    if alert.rule == "share shift":
        return f"{subject(alert)}: {shares(alert)}, over {window(alert.window_minutes)}"
    told = (against_expected(alert), shares(alert))
    return f"{subject(alert)}: " + "; ".join(text for text in told if text)


def alone(alert: Alert) -> str:
    """Write how many posts an alert on single posts is about: without a scope, those beside the first few."""
    if alert.scope:
        return "one post that matters alone"
    return f"{posts(alert.observed, 'more post')} that {'matters' if alert.observed == 1 else 'matter'} alone"


def reasons(alert: Alert) -> str:
    """Write why a single post matters, as the end of a sentence."""
    found = [harmless(reason, REASON_SHOWN) for reason in alert.in_common[:3]]
    return f" ({', '.join(found)})" if found else ""
