"""From findings to episodes: one story is told once, however often its score crosses the line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

CALM_SCORE = 2.0  # below this for an hour, it is over
CALM_FOR = timedelta(hours=1)
SAME_STORY = timedelta(hours=24)  # after it was last told, a new crossing belongs to it
WORSE = 2.0  # times the negatives that were told


@dataclass(frozen=True, slots=True)
class Finding:
    """The state at one five-minute step, seen through the window that stands out most."""

    at: datetime  # end of the window
    window: timedelta
    observed: int  # negatives
    expected: float  # negatives, given the brand's past and the volume of its other mentions
    factor: float
    mentions: int
    share: float
    usual_share: float
    score: float

    @property
    def probability(self) -> float:
        """How rarely a window looks like this without a cause: what the score was made from."""
        return float(10.0**-self.score)


@dataclass(frozen=True, slots=True)
class Episode:
    """One negative spike from its first crossing to its end."""

    starts: datetime  # start of the window of the first finding over the threshold
    last_seen: datetime  # last step over the threshold
    ends: datetime | None  # when it fell, known an hour later; None while it goes on
    peak: Finding  # the most negatives in a window over the threshold
    notify: Sequence[Finding]  # the first crossing, and each time the negatives doubled what was told before


def episodes(findings: Iterable[Finding], until: datetime, threshold: float) -> list[Episode]:
    """Group findings (in order of time; steps that are left out score nothing) seen up to `until`."""
    result: list[Episode] = []
    for finding in findings:
        if finding.score < CALM_SCORE:
            continue
        last = result[-1] if result else None
        ended = last is None or (last.ends is not None and finding.at - last.ends >= CALM_FOR)
        if last is None or (ended and finding.at - last.notify[-1].at > SAME_STORY):
            if finding.score >= threshold:
                told = [finding]
                result.append(Episode(finding.at - finding.window, finding.at, _next(finding.at), finding, told))
            continue
        if finding.score >= threshold:
            result[-1] = _joined(last, finding)
        elif not ended:
            result[-1] = _lasting(last, finding)
    return [_closed(episode, until) for episode in result]


def _next(at: datetime) -> datetime:
    """The step after: when the episode ends unless something more is found."""
    return at + timedelta(minutes=5)


def _joined(episode: Episode, finding: Finding) -> Episode:
    worse = finding.observed >= WORSE * episode.notify[-1].observed
    return Episode(
        starts=episode.starts,
        last_seen=finding.at,
        ends=_next(finding.at),
        peak=finding if finding.observed > episode.peak.observed else episode.peak,
        notify=[*episode.notify, finding] if worse else episode.notify,
    )


def _lasting(episode: Episode, finding: Finding) -> Episode:
    return Episode(episode.starts, episode.last_seen, _next(finding.at), episode.peak, episode.notify)


def _closed(episode: Episode, until: datetime) -> Episode:
    """Whether it is over is known once it was calm for an hour."""
    if episode.ends is not None and until - episode.ends < CALM_FOR - timedelta(minutes=5):
        return Episode(episode.starts, episode.last_seen, None, episode.peak, episode.notify)
    return episode
