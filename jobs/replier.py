"""What the job `reply` asks of a source through which posts are answered. A plugin need not import it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from db.desk import Reply
from db.records import Mention
from jobs.collector import Meter

NOT_HERE = "Replies on {source} are not set up here. Answer on {source} itself, then mark the post as replied."


@dataclass(frozen=True, slots=True)
class Replied:
    """What a platform says of a reply that it took: its own id, and where people see it."""

    remote_id: str
    url: str | None


@runtime_checkable
class Replier(Protocol):
    """Answers posts of one platform. Blocking, with a timeout on every request; it never sleeps and never sends twice.

    `platform` is the `source` of the mentions that it answers, `longest` how long a reply may be, as `length` measures.
    """

    platform: str
    longest: int

    def length(self, text: str, mention: Mention) -> int:
        """Measure a reply as the platform does, with whatever is put before it to notify the author."""

    def why_not(self, mention: Mention) -> str | None:
        """Say in words why this post cannot be answered from here, None where it can. Contacts nothing."""

    def reply(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied:
        """Send a reply, once. `key` is the same whenever this reply is meant, for platforms that tell doubles by one.

        Raises ReplyRefused where it was certainly not sent and a person must act, RateLimited where it was certainly
        not sent and can be later; any other error means that nobody knows.
        """


@runtime_checkable
class Looker(Protocol):
    """A replier that can look whether a reply of which nobody knows was sent."""

    def found(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied | None:
        """Return the reply where the platform shows it; None proves nothing. Raises as `Collector.collect` does."""


@dataclass(frozen=True, slots=True)
class Route:
    """A source through which posts are answered, with the budgets that its replies count towards."""

    source: str
    replier: Replier
    monthly_budget: Decimal | None = None
    total_budget: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Outbox:
    """How replies leave: through which sources, and whether another person looks at each before.

    `url` is where the pages are seen from outside, for links to surveys; without it none are offered.
    """

    routes: Sequence[Route] = ()
    approval: bool = False
    url: str | None = None

    def route(self, mention: Mention) -> Route | None:
        """Choose the first source through which a post can be answered; None where there is none."""
        routes = self._of(mention)
        return next((route for route in routes if route.replier.why_not(mention) is None), None)

    def why_not(self, mention: Mention) -> str | None:
        """Say in words why a post cannot be answered from here, None where it can."""
        if mention.gone_at is not None:
            return f"The post is no longer there: {mention.shown.strip('()')}."
        if self.route(mention):
            return None
        reasons = [reason for route in self._of(mention) if (reason := route.replier.why_not(mention))]
        return reasons[0] if reasons else NOT_HERE.format(source=mention.source)

    def longest(self, mention: Mention) -> int | None:
        """Say how long a reply to a post may be; None where it cannot be answered from here."""
        route = self.route(mention)
        return route.replier.longest if route else None

    def surplus(self, mention: Mention, text: str) -> int:
        """Say how many characters a reply has too many, 0 where it fits; as its platform counts them."""
        route = self.route(mention)
        return max(route.replier.length(text, mention) - route.replier.longest, 0) if route else 0

    def _of(self, mention: Mention) -> list[Route]:
        return [route for route in self.routes if route.replier.platform == mention.source]


def key_of(reply: Reply) -> str:
    """Name a reply to its platform: the same at every attempt and after every crash, another one in every database."""
    return f"sentimon-reply-{reply.id}-{int(reply.created_at.timestamp())}"
