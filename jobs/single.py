"""Single posts that matter alone: each becomes an alert of its own, unless there are too many of them.

Of one brand the worst few of an hour are told one by one. The others are counted in one more alert on the brand.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from db.filters import Filter
from db.records import Alert, Match
from db.store import Store
from jobs.decide import MAX_AGE
from jobs.desk.urgency import priority
from jobs.rules import Watching
from jobs.wording import summary
from models.urgent import Urgent, because, reasons

RULE = "single post"
SEVERE = {"journalist", "words"}  # rules whose posts cannot wait
MOST = 5  # alerts on posts of a brand within PERIOD: who is told more often reads none of it
PERIOD = timedelta(hours=1)
REASONS = 3  # that an alert on many posts names

Found = tuple[Alert, Sequence[Match]]


def single_posts(store: Store, brand: str, since: datetime, watching: Watching, now: datetime) -> list[Found]:
    """Find those among the brand's rated posts since a time, of the last day at most: older ones are history.

    Each is an alert that is not stored yet, with its post. The last one may be that on all others of the hour, stored
    already or not, with those posts that are new to it.
    """
    if RULE not in watching.names:
        return []
    rules = watching.urgent or Urgent()
    earlier = [a for a in store.alerts.find(Filter(now - 2 * MAX_AGE, brands=(brand,))) if a.rule == RULE]
    known = store.alerts.posts_of([alert.id for alert in earlier])
    found: list[Found] = []
    for match in store.mentions.every(Filter(max(since, now - MAX_AGE), brands=(brand,))):
        if match.sentiment and match.mention.gone_at is None and match.id not in known:
            why = reasons(match, rules)
            if why:
                severity = "high" if SEVERE & {reason.rule for reason in why} else "warning"
                found.append((_told(match, because(why), severity), [match]))
    found.sort(key=lambda one: (one[0].severity != "high", -priority(one[1][0])))
    lately = [alert for alert in earlier if alert.found_at and alert.found_at > now - PERIOD]
    left = max(MOST - sum(bool(alert.scope) for alert in lately), 0)
    many = next((alert for alert in lately if not alert.scope), None)
    return [*found[:left], *([_together(found[left:], many)] if found[left:] else [])]


def scope_of(match: Match) -> str:
    """Name the post that an alert is about."""
    return f"{match.mention.source} {match.mention.source_id}"


def _together(found: Sequence[Found], many: Alert | None) -> Found:
    """One alert on many posts: a new one, or the one that tells of this hour's already."""
    alerts = [*([many] if many else []), *(alert for alert, _ in found)]
    why = dict.fromkeys(reason for alert in alerts for reason in alert.in_common)
    last = max(alert.last_seen for alert in alerts)
    told = replace(
        alerts[0],
        scope="",
        starts=min(alert.starts for alert in alerts),
        last_seen=last,
        ends=last,
        severity="high" if any(alert.severity == "high" for alert in alerts) else "warning",
        observed=sum(alert.observed for alert in alerts),
        mentions=sum(alert.mentions for alert in alerts),
        in_common=tuple(why)[:REASONS],
    )
    return replace(told, summary=summary(told)), [match for _, posts in found for match in posts]


def _told(match: Match, why: str, severity: str) -> Alert:
    posted = match.mention.created_at
    alert = Alert(
        id=0,
        brand=match.brand,
        rule=RULE,
        starts=posted,
        last_seen=posted,
        ends=posted,
        severity=severity,
        observed=1,
        expected=0.0,
        factor=0.0,
        probability=0.0,
        window_minutes=0,
        mentions=1,
        share=0.0,
        usual_share=0.0,
        summary="",
        in_common=(why,),
        scope=scope_of(match),
    )
    return replace(alert, summary=summary(alert))
