"""What the tests of notifying share: alerts that go on, a channel that fails when told, and one turn of the job."""

from dataclasses import dataclass, field
from datetime import datetime

from db.filters import Filter
from db.records import Alert
from db.store import Store
from jobs.channel import Channel, Message
from jobs.notify import Telling, notify
from jobs.outlet import Outlet
from tests.support import HOUR, NOW, judge, keep, mention


@dataclass
class Desk:
    """A channel that fails as often as it is told."""

    failures: list[BaseException] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.messages.append(message)
        if self.failures:
            raise self.failures.pop(0)

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.messages]


def alert(store: Store, *texts: str, brand: str = "Acme", seen: datetime = NOW, observed: int = 10) -> Alert:
    """An alert that is going on, with its posts."""
    posts = [mention(f"{brand}{number}", f"awful {text}", seen) for number, text in enumerate(texts or ["thing"])]
    keep(store, *posts, brands=[brand])
    judge(store)
    going_on = Alert(
        id=0,
        brand=brand,
        rule="negative spike",
        starts=seen - HOUR,
        last_seen=seen,
        ends=None,
        severity="critical",
        observed=observed,
        expected=1.5,
        factor=6.7,
        probability=1e-6,
        window_minutes=60,
        mentions=12,
        share=0.83,
        usual_share=0.2,
        summary=f"{brand}: {observed} negative posts in 1 h",
        in_common=("charged twice",),
    )
    with store.transaction():
        return store.alerts.save(going_on, store.mentions.find(None, Filter(brands=(brand,)), 100))


def save(store: Store, changed: Alert) -> None:
    with store.transaction():
        store.alerts.save(changed, ())


def tell(
    store: Store, now: datetime = NOW, competitors: tuple[str, ...] = (), **channels: Channel
) -> tuple[int, int, str | None]:
    outlets = {name: Outlet(channel) for name, channel in channels.items()}
    outcome = notify(store, outlets, Telling(untold=competitors), now)
    return outcome.counts["sent"], outcome.counts["failed"], outcome.error


def states(store: Store) -> list[tuple[str, str, str, int]]:
    return [
        (each.channel, each.reason, each.state, each.attempts)
        for one in store.alerts.find(Filter())
        for each in store.deliveries.of_alert(one.id)
    ]
