"""From an episode that a detector found to the alert that tells it: numbers, story, posts; and the posts to answer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from db.filters import Filter
from db.records import Alert, Match, Story
from db.store import Store
from db.times import FIVE_MINUTES
from jobs.desk import urgency
from jobs.reading import Reading
from jobs.wording import summary
from models import spikes, volume
from models.episodes import Episode
from models.story import Slice, StoryPost, tell

NEGATIVE, VOLUME = "negative spike", "volume spike"
BASELINE = timedelta(days=28)  # what a spike is compared with
BACKGROUND = timedelta(days=14)  # whose posts' words are compared
BACKGROUND_POSTS = 5_000  # the newest of them
POSTS_KEPT = 1_000  # of a volume spike: of a negative one, all are


def described(
    store: Store,
    rule: str,
    brand: str,
    scope: str,
    episode: Episode,
    read: Callable[[datetime], Reading],
    changed: bool = True,
) -> tuple[Alert, Sequence[Match]]:
    """Describe the episode, as the alert that told it already or as a new one (id 0), with its posts.

    What belongs to one story is the model's to say: an alert tells an episode if the two overlap. Where no counts have
    changed (`changed`), an alert that goes on has its posts already: none are returned.
    """
    known = _telling(store, rule, brand, scope, episode)
    posts = _posts(store, rule, brand, scope, episode) if changed or not (known and known.story) else ()
    same = known and (known.last_seen, known.observed) == (episode.last_seen, episode.peak.observed)
    if known and known.story and (same or not changed):
        story = known.story  # reading weeks of posts again would find the same
    else:
        story = _story(store, rule, brand, scope, episode, posts, read)
    peak = episode.peak
    alert = Alert(
        id=known.id if known else 0,
        brand=brand,
        rule=rule,
        starts=episode.starts,
        last_seen=episode.last_seen,
        ends=episode.ends,
        severity=severity_of(rule, peak.score),
        observed=peak.observed,
        expected=round(peak.expected, 2),
        factor=round(peak.factor, 1),
        probability=peak.probability,
        window_minutes=int(peak.window.total_seconds() // 60),
        mentions=peak.mentions,
        share=round(peak.share, 4),
        usual_share=round(peak.usual_share, 4),
        summary="",
        in_common=story.terms,
        scope=scope,
        score=round(peak.score, 2),
        low=round(peak.low, 2),
        high=round(peak.high, 2),
        story=story,
        found_at=known.found_at if known else None,
        held=known.held if known else None,
        taken_by=known.taken_by if known else None,
        taken_at=known.taken_at if known else None,
    )
    return replace(alert, summary=summary(alert)), posts


def severity_of(rule: str, score: float) -> str:
    """Name how severe an alert of a rule with this score at its peak is."""
    steps = volume.SEVERITIES if rule == VOLUME else spikes.SEVERITIES
    return next(name for least, name in steps if score >= least)


def queue(store: Store, alert: Alert, posts: Sequence[Match], now: datetime) -> int:
    """Let the posts of an alert wait for an answer; those that wait already are raised to its level.

    Posts that were old when they were found are left out: an import of last year's posts is history, not work.
    """
    reason = f"{alert.rule} of {alert.starts:%Y-%m-%d %H:%M} UTC"
    level = urgency.of_alert(alert)
    return sum(
        store.cases.open(match, alert.id, reason, urgency.priority(match), now, level=level)
        for match in posts
        if match.mention.gone_at is None  # nobody can answer it
        and match.mention.created_at >= now - urgency.LATELY
    )


def _telling(store: Store, rule: str, brand: str, scope: str, episode: Episode) -> Alert | None:
    told = [
        alert
        for alert in store.alerts.find(Filter(episode.starts, brands=(brand,)))
        if (alert.rule, alert.scope) == (rule, scope) and alert.starts <= episode.last_seen
    ]
    return min(told, key=lambda alert: abs(alert.starts - episode.starts), default=None)


def _posts(store: Store, rule: str, brand: str, scope: str, episode: Episode) -> Sequence[Match]:
    kind, _, name = scope.partition(" ")
    chosen = Filter(
        episode.starts,
        episode.last_seen + FIVE_MINUTES,
        (brand,),
        sources=(name,) if kind == "source" else (),
        stages=(name,) if kind == "stage" else (),
        pillars=(name,) if kind == "pillar" else (),
        sentiments=("negative",) if rule == NEGATIVE else (),
    )
    return list(store.mentions.every(chosen)) if rule == NEGATIVE else store.mentions.find(None, chosen, POSTS_KEPT)


def _story(
    store: Store,
    rule: str,
    brand: str,
    scope: str,
    episode: Episode,
    posts: Sequence[Match],
    read: Callable[[datetime], Reading],
) -> Story:
    since, until = episode.starts - BASELINE, episode.last_seen + FIVE_MINUTES
    background = store.mentions.find(
        None, Filter(episode.starts - BACKGROUND, episode.starts, (brand,)), BACKGROUND_POSTS
    )
    told = tell(
        _slices(store, rule, brand, scope, episode, since, until),
        _story_posts(store, posts),
        [match.mention.text for match in background],
        leave_out=[brand],
        baseline_since=since,
        coverage=read(episode.starts).remark(episode.starts, until),
    )
    return replace(told, confined_to=None) if scope else told  # a slice is what it is confined to


def _slices(
    store: Store, rule: str, brand: str, scope: str, episode: Episode, since: datetime, until: datetime
) -> list[Slice]:
    """What each slice had from the beginning to the end of the episode, and what it would have had of its past."""
    usual = store.voices.totals(brand, since, episode.starts, scope)
    now = store.voices.totals(brand, episode.starts, until, scope)
    of = (lambda pair: pair[0]) if rule == NEGATIVE else sum
    expected = episode.peak.expected * ((until - episode.starts) / episode.peak.window)
    total = {kind: sum(of(pair) for (each, _), pair in usual.items() if each == kind) for kind, _ in usual}
    return [
        Slice(
            kind,
            name,
            of(now.get((kind, name), (0, 0))),
            expected * of(usual.get((kind, name), (0, 0))) / total[kind] if total.get(kind) else 0.0,
        )
        for kind, name in sorted(usual.keys() | now.keys())
    ]


def _story_posts(store: Store, posts: Sequence[Match]) -> list[StoryPost]:
    first: dict[int, int] = {}  # group of copies -> the first of the posts here that is in it
    groups = store.copies.groups([match.id for match in posts])
    told = []
    for match in posts:
        leader = first.setdefault(groups[match.id], match.id)
        mention = match.mention
        told.append(
            StoryPost(
                id=match.id,
                author=mention.author,
                text=mention.text,
                copy_of=leader if leader != match.id else None,
                negative=match.negative or 0.0,
                reach=mention.reach.followers or 0,
                source=mention.source,
                stage=match.stage,
                pillar=match.pillar,
                touchpoint=match.touchpoint,
                language=mention.language,
            )
        )
    return told
