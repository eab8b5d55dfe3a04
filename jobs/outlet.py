"""A channel as the notify job sees it: what sends, and what it wants to hear."""

from dataclasses import dataclass
from datetime import UTC, time, tzinfo

from jobs.channel import Channel
from jobs.decide import TOLD_ALL, Policy


@dataclass(frozen=True, slots=True)
class DigestTime:
    """When a channel gets a digest: every day, or every Monday, of the day or week before."""

    every: str  # "daily" or "weekly"
    at: time = time(8)
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Outlet:
    """`fingerprint` tells whether the channel's settings have changed since it was found not to work.

    A channel that has no use for `pictures` is spared them: a chart takes half a second to draw.
    """

    channel: Channel
    policy: Policy = TOLD_ALL
    fingerprint: str = ""
    digest: DigestTime | None = None
    pictures: bool = False
