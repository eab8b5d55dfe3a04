"""What somebody should know before they answer: the conversation, its author, and what was said to posts like it."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from db.conversations import Author, Said
from db.desk import Case, User, visible
from db.records import Alert
from db.store import Store
from jobs.desk.similar import Alike, similar

ABOVE = 20  # posts of a conversation
BELOW = 30
POSTS = 10  # of the author
CASES = 5


@dataclass(frozen=True, slots=True)
class Thread:
    """The conversation: what led to the post, the post, and the answers to it by time; each post once.

    `cut` says that there is more than is shown, `lost` that what the first one answers was never stored.
    """

    above: Sequence[Said]
    here: Said
    below: Sequence[Said]
    cut: bool = False
    lost: bool = False

    @property
    def alone(self) -> bool:
        """Whether nothing but the post itself is known."""
        return not (self.above or self.below or self.cut or self.lost)


@dataclass(frozen=True, slots=True)
class Context:
    """Everything around a case. `author` is None where nobody knows who wrote it, or it is no longer kept."""

    thread: Thread
    author: Author | None
    similar: Sequence[Alike]
    alert: Alert | None


def context(store: Store, case: Case, user: User) -> Context:
    """Gather what is known around a case, as far as the user may see it; writes nothing."""
    brands = visible(user, ())
    return Context(
        _thread(store, case, brands),
        store.conversations.author(case.match, brands, POSTS, CASES),
        similar(store, case, user),
        store.alerts.get(case.alert_id) if case.alert_id is not None else None,
    )


def _thread(store: Store, case: Case, brands: Sequence[str]) -> Thread:
    mention = case.match.mention
    here = Said(
        mention.source_id,
        mention.in_reply_to,
        mention.created_at,
        mention.author,
        mention.shown,
        url=mention.url,
        case_id=case.id,
    )
    above, lost = _above(store, mention.source, here, brands)
    first = above[0] if above else here
    below, more = _below(store, mention.source, here, {said.key for said in above}, brands)
    cut = more or (first.parent is not None and not lost)
    return Thread(above, here, below, cut, lost)


def _above(store: Store, source: str, here: Said, brands: Sequence[str]) -> tuple[list[Said], bool]:
    """Follow what each post answers, up to the first; the oldest first. Says whether one of them was never stored."""
    chain: list[Said] = []
    seen, at = {here.key}, here.parent
    while at is not None and at not in seen and len(chain) < ABOVE:
        seen.add(at)
        said = _one(store, source, at, brands)
        if said is None:
            return chain[::-1], True
        chain.append(said)
        at = said.parent
    return chain[::-1], False


def _one(store: Store, source: str, key: str, brands: Sequence[str]) -> Said | None:
    """Return a post, or the reply of ours that the platform knows under its id."""
    return store.conversations.reply(source, key, brands) or store.conversations.post(source, key, brands)


def _below(store: Store, source: str, here: Said, shown: Set[str], brands: Sequence[str]) -> tuple[list[Said], bool]:
    """Gather answers, answers to these and so on, by time. Says whether there are more than are shown."""
    found: dict[str, Said] = {}
    waiting = [here.key]
    while waiting and len(found) <= BELOW:
        at = waiting.pop(0)
        for said in store.conversations.replies_to(source, at, brands):
            if said.key not in found and said.key not in shown:
                found[said.key] = said
                waiting.append(said.key)
        for key in store.conversations.answers(source, at, BELOW + 1):
            if key != here.key and key not in found and key not in shown:
                post = store.conversations.post(source, key, brands)
                if post is not None:
                    found[key] = post
                    waiting.append(key)
    ordered = sorted(found.values(), key=lambda said: said.at)
    return ordered[:BELOW], len(ordered) > BELOW
