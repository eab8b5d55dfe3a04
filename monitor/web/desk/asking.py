"""What is asked of the queue, read from an address and written back into one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from db.cases import Asked
from db.desk import LEVELS, STATES, User, visible
from db.errors import InputError
from db.labels import COUNTED_STAGES, PILLARS, SENTIMENTS, TOUCHPOINTS
from monitor.web.desk.words import plain
from monitor.web.forms import number_of
from monitor.web.trends.address import check

TABS: Mapping[str, str] = {
    "answer": "To answer",
    "mine": "Mine",
    "waiting": "Approval",
    "snoozed": "Snoozed",
    "done": "Done",
    "all": "All",
}
_STATES: Mapping[str, tuple[str, ...]] = {  # none named: what is open and awake
    "waiting": ("waiting",),
    "snoozed": ("snoozed",),
    "done": ("replied", "dismissed"),
    "all": STATES,
}
NOBODY = "-"  # in place of an assignee
LONGEST = 200  # characters of one value
MOST = 40  # values that are read of an address
LAST_PAGE = 10_000

_CHOICES: Mapping[str, Sequence[str]] = {
    "level": LEVELS,
    "sentiment": SENTIMENTS,
    "stage": COUNTED_STAGES,
    "pillar": PILLARS,
    "touchpoint": TOUCHPOINTS,
}
_NUMBERS = ("alert", "page")
_BESIDE = ("did", "of", "use", "like")  # what our own links say beside the question
_FREE = ("brand", "source", "tag", "assignee", "alert", "overdue", "q")
_WORDS: Mapping[str, str] = {"q": "words", "assignee": "with", "overdue": "overdue"}


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force: what it says, and the address without it."""

    words: str
    without: str


@dataclass(frozen=True, slots=True)
class Question:
    """What an address asks. `pairs` has all of it but the page, cleaned: values that cannot be are not in it.

    `given` is what stands in the address itself, none where it was not read from one.
    """

    pairs: Sequence[tuple[str, str]]
    page: int = 1
    given: Sequence[tuple[str, str]] = ()

    @property
    def tab(self) -> str:
        """The tab that is asked for."""
        return self.first("tab") or "answer"

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a name."""
        return tuple(value for key, value in self.pairs if key == name)

    def first(self, name: str) -> str:
        """Return a value of a name, "" where there is none."""
        return next(iter(self.all(name)), "")

    @property
    def query(self) -> str:
        """Write it as the part of an address behind the question mark."""
        return urlencode([*self.pairs, *([("page", str(self.page))] if self.page > 1 else [])])

    @property
    def address(self) -> str:
        """Write it with its question mark, "" where nothing is asked."""
        return f"?{self.query}" if self.query else ""

    def with_page(self, page: int) -> str:
        """Write the address of another page of the same."""
        return Question(self.pairs, page).address

    def with_tab(self, tab: str) -> str:
        """Write the address of another tab with the same filters."""
        rest = [pair for pair in self.pairs if pair[0] != "tab"]
        return Question([("tab", tab), *rest]).address

    @property
    def chips(self) -> list[Chip]:
        """Name every filter in force."""
        found = []
        for pair in self.pairs:
            name, value = pair
            if name == "tab":
                continue
            rest = Question([other for other in self.pairs if other != pair])
            words = "overdue" if name == "overdue" else f"{_WORDS.get(name, name)}: {plain(value)}"
            words = "with nobody" if (name, value) == ("assignee", NOBODY) else words
            found.append(Chip(words, rest.address))
        return found

    def asked(self, user: User, tab: str | None = None) -> Asked:
        """Make the question to the store, as far as the user may see."""
        tab = tab or self.tab
        assignee = user.name if tab == "mine" else self.first("assignee") or None
        alert = self.first("alert")
        return Asked(
            brands=visible(user, self.all("brand")),
            sources=self.all("source"),
            states=_STATES.get(tab, ()),
            levels=self.all("level"),
            assignee=None if assignee == NOBODY else assignee,
            unassigned=assignee == NOBODY,
            overdue=bool(self.first("overdue")),
            tags=self.all("tag"),
            alert_id=int(alert) if alert else None,
            text=self.first("q") or None,
            sentiments=self.all("sentiment"),
            stages=self.all("stage"),
            pillars=self.all("pillar"),
            touchpoints=self.all("touchpoint"),
        )


def read(query: str) -> Question:
    """Read what is behind the question mark of an address; what nobody can mean is left out."""
    first = "&".join(query.split("&")[: 4 * MOST])  # more than any page of ours writes
    return question(parse_qsl(first, errors="replace"))


def question(given: Iterable[tuple[str, str]]) -> Question:
    """Make a question of names and values."""
    pairs: list[tuple[str, str]] = []
    page = 1
    given = list(given)
    for name, value in given:
        value = value.replace("\0", "").strip()[:LONGEST]
        number = number_of(value)
        if name == "page" and number is not None:
            page = min(max(number, 1), LAST_PAGE)
        elif (
            _means(name, value)
            and (name != "alert" or number is not None)
            and (name, value) not in pairs
            and len(pairs) < MOST
        ):
            pairs.append((name, value))
    return Question(pairs, page, given)


def amiss(asked: Question, names: Mapping[str, Collection[str]]) -> str:
    """Say in a line what makes no sense in an address, "" where all does.

    `names` are the brands, sources and assignees that there are. A view that somebody kept may name one that has gone.
    """
    known = {**dict.fromkeys((*_FREE, *_NUMBERS)), **_CHOICES, "tab": TABS, "overdue": ("1",), **names}
    given = [(name, value.strip()) for name, value in asked.given if name not in _BESIDE]
    try:
        check(given, known, _NUMBERS)
    except InputError as error:
        return str(error)
    if len(given) > MOST or any(len(value) > LONGEST for _, value in given):
        return f"the address asks for too much; {MOST} values of {LONGEST} characters are read at most"
    return ""


def _means(name: str, value: str) -> bool:
    if name == "tab":
        return value in TABS and value != "answer"
    return bool(value) and (name in _FREE or value in _CHOICES.get(name, ()))
