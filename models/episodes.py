"""From findings to episodes: one story is told once, however often its score crosses the line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.counts import STEP

CALM_SCORE = 2.0  # below this for an hour, it is over
CALM_FOR = timedelta(hours=1)
SAME_STORY = timedelta(hours=24)  # for so long after it was last told, what crosses the line again belongs to it
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
    low: float = 0.0  # 95 % of such windows have between low and high negatives without a cause
    high: float = 0.0

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
    lasts: datetime | None = None  # last step that was not calm; None where only `ends` or `last_seen` tell it


def episodes(
    findings: Iterable[Finding],
    until: datetime,
    threshold: float,
    before: Episode | None = None,
    same_story: timedelta = SAME_STORY,
) -> list[Episode]:
    """Group findings (in order of time; steps that are left out score nothing) seen up to `until`.

    `before` is the last story told of the same series, going on or over. It is the first of the result, and findings
    carry it on as if they had been there when it was made; those from before it was first told are left out.
    """
    result = [before] if before else []
    for finding in findings:
        if finding.score < CALM_SCORE or (before and finding.at < before.notify[0].at):
            continue
        last = result[-1] if result else None
        ended = last is None or finding.at - _fell(last) >= CALM_FOR
        if last is None or (ended and finding.at - last.notify[-1].at > same_story):
            if finding.score >= threshold:
                result.append(Episode(finding.at - finding.window, finding.at, None, finding, [finding], finding.at))
        elif finding.score >= threshold:
            result[-1] = _joined(last, finding)
        elif not ended:
            result[-1] = replace(last, lasts=_later(last, finding))
    return [replace(episode, ends=_ended(episode, until)) for episode in result]


def _fell(episode: Episode) -> datetime:
    """The step after the last one that was not calm: when the episode ends unless something more is found."""
    if episode.lasts is None and episode.ends is not None:
        return episode.ends
    return (episode.lasts or episode.last_seen) + STEP


def _later(episode: Episode, finding: Finding) -> datetime:
    """A step of before, seen once more, does not set an episode back."""
    return max(_fell(episode) - STEP, finding.at)


def _joined(episode: Episode, finding: Finding) -> Episode:
    worse = finding.observed >= WORSE * episode.notify[-1].observed
    return replace(
        episode,
        last_seen=max(episode.last_seen, finding.at),
        lasts=_later(episode, finding),
        peak=finding if finding.observed > episode.peak.observed else episode.peak,
        notify=[*episode.notify, finding] if worse else episode.notify,
    )


def _ended(episode: Episode, until: datetime) -> datetime | None:
    """Whether it is over is known once it was calm for an hour."""
    fell = _fell(episode)
    return None if until - fell < CALM_FOR - STEP else fell
