"""Write a notification: what happened, against what was expected, where, and the posts that show it.

It reads in a chat message and in an e-mail, on a phone: the most important first, in about 1,500 characters.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from shlex import quote

from db.records import Alert, Match, Part
from db.times import to_text
from jobs.channel import Message
from jobs.decide import WORSE, Reason
from jobs.facts import VERSION, alert_facts
from jobs.letter import Block, Letter, Page, plain
from jobs.links import NO_LINKS, Links
from jobs.wording import (
    NAME_SHOWN,
    against_expected,
    alone,
    between,
    harmless,
    length,
    moment,
    parts,
    posts,
    reasons,
    roughly,
    shares,
    source_of,
    subject,
    summary,
    window,
)

__all__ = ["POSTS_SHOWN", "compose", "harmless", "letter_of", "trial"]

POSTS_SHOWN = 3
TEXT_SHOWN = 140  # characters of a post
ALONE_SHOWN = 400  # of one that is told of alone
TERMS_SHOWN = 5
OTHERS_SHOWN = 5
OTHER_SHOWN = 200  # characters
CAUSE_SHOWN = 150  # of why something was not read
PARTS_SHOWN = 3
PART_LEAST = 0.25  # of what is more than expected, from which on a slice is named
STEP = timedelta(minutes=5)
COUNTING = ("negative spike", "volume spike", "share shift")  # rules about what was written, not about what was not

_HEADINGS = {
    Reason.FIRST: "{}",
    Reason.WORSENED: "{}, getting worse",
    Reason.REOPENED: "{}, back again",
    Reason.REPEATED: "{}, still going on",
    Reason.ESCALATED: "{}, nobody has taken it",
    Reason.PAST: "{}, over by now",
    Reason.RESOLVED: "{} is over",
}
_AT_ONCE = (Reason.FIRST, Reason.PAST)  # a single post is over as soon as it is written
_WHY_NOW = {
    Reason.WORSENED: f"It has got worse: {WORSE} times or more what this channel was last told.",
    Reason.REOPENED: "This channel was told that it is over, but it goes on.",
    Reason.REPEATED: "It still goes on, and nobody has taken it.",
    Reason.ESCALATED: "Others were told of it, and nobody has taken it.",
    Reason.PAST: "It was over already when its posts were read.",
}
# From which score on how many weeks of a brand passed for each false alarm: docs/alerts.md, "How well it works", and
# benchmarks/spikes.py, the worse of simulated brands and real volumes. Beyond 6 there were too few to be counted.
_FALSE_ALARMS = (
    (6.0, "in 2 years"),
    (5.0, "a year"),
    (4.5, "in 20 weeks"),
    (4.0, "in 7 weeks"),
    (3.5, "in 3 weeks"),
    (3.0, "in 10 days"),
)


def compose(
    key: str,
    reason: Reason,
    alert: Alert,
    shown: Sequence[Match],
    count: int,
    links: Links = NO_LINKS,
    chart: bytes | None = None,
    others: Sequence[tuple[Reason, Alert]] = (),
    page: Page | None = None,
) -> Message:
    """Write the notification of an alert, and of the other alerts of its brand that are told with it.

    `shown` are the posts that stand for it, the clearest first, `count` how many it has in all; `chart` is a PNG;
    `page` makes the document for e-mail.
    """
    letter = letter_of(reason, alert, shown, count, links, chart is not None, others)
    return Message(
        key=key,
        title=letter.title,
        body=plain(letter),
        urgent=alert.severity == "critical" and reason != Reason.RESOLVED,
        html=page(letter) if page else None,
        image=chart,
        facts=alert_facts(key, reason, alert, shown, count, links, others),
    )


def trial(now: datetime) -> Message:
    """Write the message that shows whether a channel works."""
    letter = Letter(
        title="sentimon: a test",
        lead="This channel works. Alerts come as this message did.",
        notes=[f"Sent on {moment(now)} because somebody asked for it."],
    )
    facts = {"kind": "test", "version": VERSION, "at": to_text(now)}
    return Message(key=f"sentimon-test-{now:%Y%m%d%H%M%S}", title=letter.title, body=plain(letter), facts=facts)


def letter_of(
    reason: Reason,
    alert: Alert,
    shown: Sequence[Match],
    count: int,
    links: Links = NO_LINKS,
    charted: bool = False,
    others: Sequence[tuple[Reason, Alert]] = (),
) -> Letter:
    """Say what is told of an alert."""
    over = reason == Reason.RESOLVED
    blocks = [
        Block([*_circumstances(reason, alert), *_where(alert)]),
        Block(_terms(alert), spare=1),
        Block([] if over else [_excerpt(post, alert) for post in shown[:POSTS_SHOWN]], listed=True, spare=4),
        Block(_crowd(alert, count), spare=2),
        Block(_doubts(alert, over), spare=3),
        Block(_also(others), "Also", listed=True, spare=5),
    ]
    address = links.alert(alert.id)
    return Letter(
        title=f"{_heading(alert, reason)}: {subject(alert)}",
        lead=_lead(alert, reason),
        tone="over" if over else alert.severity,
        blocks=blocks,
        links=[("Look at it" if over else "Take, silence or judge it", address)] if address else _commands(alert, over),
        notes=[
            f"Alert {alert.id}, {alert.severity}." + (" A chart is attached." if charted else ""),
            *([f"{harmless(alert.taken_by, NAME_SHOWN)} has taken it."] if alert.taken_by else []),
        ],
    )


def _heading(alert: Alert, reason: Reason) -> str:
    if alert.rule == "stale source" and reason == Reason.RESOLVED:
        return "Source is read again"
    if alert.rule == "single post" and reason in _AT_ONCE:
        return "Single post"
    return _HEADINGS[reason].format("Stale source, in part" if alert.stream else alert.rule.capitalize())


def _lead(alert: Alert, reason: Reason) -> str:
    if alert.stream:
        text = (
            f"This stream of the source {source_of(alert)} was not read since {moment(alert.starts)}. What it alone "
            "would have brought is missing from all counts."
        )
    elif alert.rule == "stale source":
        text = f"Not read since {moment(alert.starts)}. What was posted there since is missing from all counts."
    elif alert.rule == "single post":
        text = f"{alone(alert).capitalize()}{reasons(alert)}."
    elif alert.rule == "share shift":
        text = f"{shares(alert)}, over {window(alert.window_minutes)}."
    else:
        text = f"{against_expected(alert)}."
    if reason == Reason.RESOLVED and alert.ends:
        took = length(alert.ends - alert.starts)
        if alert.rule == "stale source":
            return f"It was not read for {took}, from {moment(alert.starts)} on; what can still be had is read now."
        return f"Over after {took}. {'At its height: ' if alert.rule in COUNTING else ''}{text}"
    return text


def _circumstances(reason: Reason, alert: Alert) -> list[str]:
    at_once = alert.rule == "single post" and reason in _AT_ONCE
    lines = [_WHY_NOW[reason]] if reason in _WHY_NOW and not at_once else []
    if alert.rule in ("negative spike", "volume spike") and shares(alert):
        lines.append(f"{shares(alert)}.")
    if alert.rule == "share shift" and alert.expected:
        lines.append(f"{against_expected(alert)}.")
    if alert.rule == "silence" and not (alert.story and alert.story.coverage):
        lines.append("Its sources were read meanwhile.")
    if alert.rule not in ("stale source", "single post"):
        lines.append(_when(alert))
    return lines


def _when(alert: Alert) -> str:
    if alert.ends:
        return f"From {between(alert.starts, alert.ends)}, {length(alert.ends - alert.starts)}."
    return f"Since {moment(alert.starts)}, for {length(alert.last_seen + STEP - alert.starts)} so far."


def _where(alert: Alert) -> list[str]:
    """Name the slices that made the difference, of each kind the first."""
    if alert.story is None:
        return []
    named: dict[str, Part] = {}
    everything = alert.story.parts
    for found in ([alert.story.confined_to] if alert.story.confined_to else []) + list(everything):
        if found.share >= PART_LEAST and found.name != "none":
            named.setdefault(found.kind, found)
    text = parts(list(named.values())[:PARTS_SHOWN], everything)
    return [f"{text}."] if text else []


def _terms(alert: Alert) -> list[str]:
    """New words say most; where there are none, those that are more frequent than usual."""
    if alert.rule not in COUNTING:
        return []
    new = alert.story.new_terms if alert.story else ()
    terms = new or alert.in_common
    shown = ", ".join(harmless(term, NAME_SHOWN) for term in terms[:TERMS_SHOWN])
    return [f"{'New words' if new else 'More often than usual'}: {shown}"] if shown else []


def _excerpt(post: Match, alert: Alert) -> str:
    mention = post.mention
    reach = mention.reach
    head = harmless(mention.source, NAME_SHOWN)
    if reach.followers:
        head += f", {roughly(reach.followers)} followers"
    elif reach.likes:
        head += f", {roughly(reach.likes)} likes"
    return f"{head}: {harmless(mention.shown, ALONE_SHOWN if alert.rule == 'single post' else TEXT_SHOWN)}"


def _crowd(alert: Alert, count: int) -> list[str]:
    """Say how many posts there are, and how many people and different texts are behind them."""
    if alert.rule not in COUNTING:
        return []
    story, texts = alert.story, [f"{posts(count, 'negative post')} in all"] if count else []
    if story and story.authors:
        texts.append(f"by {story.authors:,} author{'s' if story.authors > 1 else ''}")
    if story and story.copies:
        texts.append(f"{story.copies:,} of them cop{'ies' if story.copies > 1 else 'y'} of another")
    text = ", ".join(texts) if alert.rule != "volume spike" else "; ".join(reversed(texts))
    if story and story.reach and text:
        text += f"; together they have {roughly(story.reach)} followers"
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def _doubts(alert: Alert, over: bool) -> list[str]:
    """Say what the numbers rest on, and how often such an alert is a false one."""
    lines = []
    if alert.rule == "stale source" and not over:
        why = harmless(alert.summary.partition(" UTC: ")[2], CAUSE_SHOWN).rstrip(".")
        lines += [f"Why: {why}."] if why else []
    if alert.story and alert.story.coverage:
        lines.append(f"Not all of it was read: {harmless(alert.story.coverage, CAUSE_SHOWN).rstrip('.')}.")
    if over or alert.rule != "negative spike":
        return lines  # of the other rules, and of slices, nobody has measured it
    often = next((often for least, often in _FALSE_ALARMS if alert.score >= least), None)
    if often and not alert.scope:
        lines.append(f"How sure: in trials a brand had a false alarm as strong as this about once {often}.")
    if alert.story and alert.story.baseline_since:
        lines.append(f"Expected from its posts since {alert.story.baseline_since:%Y-%m-%d}.")
    return lines


def _also(others: Sequence[tuple[Reason, Alert]]) -> list[str]:
    lines = [
        harmless(f"{_heading(other, reason)}: {summary(other)}", OTHER_SHOWN) for reason, other in others[:OTHERS_SHOWN]
    ]
    more = len(others) - OTHERS_SHOWN
    return [*lines, f"and {more} more: sentimon alerts"] if more > 0 else lines


def _commands(alert: Alert, over: bool) -> list[tuple[str, str]]:
    """Say what to type where there are no pages to lead to."""
    if alert.rule == "stale source":
        return [("All that was not read", "sentimon status --coverage")]
    if over:
        return [("Was it useful, noise or known", f"sentimon alerts mark {alert.id} useful")]
    commands = [
        ("Take it", f"sentimon alerts take {alert.id}"),
        ("Silence it", f"sentimon alerts silence --alert {alert.id}"),
    ]
    return [_posts_command(alert), *commands] if alert.rule in ("negative spike", "single post") else commands


def _posts_command(alert: Alert) -> tuple[str, str]:
    brand = alert.brand
    return "All its posts", "sentimon queue" + (
        f" --brand {quote(brand)}" if brand == harmless(brand, NAME_SHOWN) else ""
    )
