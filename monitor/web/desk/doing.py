"""The acts by the names that buttons give them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from db.desk import NOT_ABOUT, User
from db.errors import InputError
from db.labels import GUIDE
from db.store import Store
from jobs.desk import acts, answer
from jobs.replier import Outbox
from monitor.web.desk.times import until
from monitor.web.forms import Form, number_of


@dataclass(frozen=True)
class Doing:
    """Who does something to a case now, with what a form says of it."""

    store: Store
    case_id: int
    user: User
    now: datetime
    given: Form
    outbox: Outbox
    lease: timedelta
    zone: str

    @property
    def who(self) -> tuple[Store, int, User, datetime]:
        """What every act begins with."""
        return self.store, self.case_id, self.user, self.now

    def number(self, name: str) -> int | None:
        """Return a number of the form, None where there is none."""
        return number_of(self.given.get(name, ""))

    @property
    def version(self) -> int | None:
        """The version of the case that the page showed; one that says none has seen none."""
        found = self.number("version")
        return -1 if found is None else found

    @property
    def reply_version(self) -> int:
        """The version of the reply that the page showed."""
        return self.number("reply_version") or 0

    def on(self, version: int, reply_version: int) -> "Doing":
        """The same, by somebody who has seen these versions."""
        fields = {name: self.given.all(name) for name in self.given}
        fields |= {"version": [str(version)], "reply_version": [str(reply_version)]}
        return replace(self, given=Form(fields))


@dataclass(frozen=True, slots=True)
class Act:
    """An act: what it does, returning what is said afterwards; in words; and whether it puts the case away."""

    act: Callable[[Doing], str]
    words: str
    ends: bool = False


def acting(given: Mapping[str, str]) -> Act:
    """Return the act that a button stands for; InputError where there is none."""
    found = _ACTS.get(given.get("do", ""))
    return found or Act(_nothing, "nothing")


def _nothing(doing: Doing) -> str:
    raise InputError("nothing was chosen: press one of the buttons")


def _claim(doing: Doing) -> str:
    acts.claim(*doing.who, version=doing.version, lease=doing.lease)
    return ""


def _release(doing: Doing) -> str:
    acts.release(*doing.who, version=doing.version)
    return "released"


def _take_over(doing: Doing) -> str:
    acts.take_over(*doing.who, version=doing.version, lease=doing.lease)
    return ""


def _assign(doing: Doing) -> str:
    acts.assign(*doing.who, version=doing.version, to=doing.given.get("assignee", "") or None)
    return "assigned"


def _dismiss(doing: Doing) -> str:
    acts.dismiss(*doing.who, version=doing.version, reason=doing.given.get("reason", ""))
    return "dismissed"


def _snooze(doing: Doing) -> str:
    time = until(doing.given.get("until", ""), doing.now, doing.zone)
    acts.snooze(*doing.who, version=doing.version, until=time)
    return "snoozed"


def _reopen(doing: Doing) -> str:
    acts.reopen(*doing.who, version=doing.version)
    return ""


def _level(doing: Doing) -> str:
    acts.set_level(*doing.who, version=doing.version, level=doing.given.get("level", ""))
    return ""


def _escalate(doing: Doing) -> str:
    acts.escalate(*doing.who, version=doing.version)
    return "escalated"


def _tag(doing: Doing) -> str:  # tags and notes are added to what others add: no version is asked for
    acts.tag(*doing.who, tag=doing.given.get("tag", ""))
    return ""


def _untag(doing: Doing) -> str:
    acts.untag(*doing.who, tag=doing.given.get("tag", ""))
    return ""


def _note(doing: Doing) -> str:
    acts.note(*doing.who, text=doing.given.get("text", ""))
    return "noted"


def _correct(doing: Doing) -> str:
    """Keep a person's word on the post, beside what was said of it before.

    A post that is not about the brand needs no answer: its case is dismissed for that.
    """
    case = acts.seen(doing.store, doing.case_id, doing.user)
    labels = dict[str, str]()
    for question in GUIDE:  # a list that was left as it was says nothing; a button does
        label = doing.given.get(question, "")
        if label and (question == "sentiment" or label != getattr(case.match, question)):
            labels[question] = label
    about = doing.given.get("about") != "0"
    verdict = acts.word(case.match, doing.user, doing.now, labels, about)
    stays = about or case.closed_at is not None
    doing.store.verdicts.give([verdict], about_told=not stays)
    if stays:
        return "corrected"
    acts.dismiss(*doing.who, version=doing.version, reason=NOT_ABOUT)
    return NOT_ABOUT


def _draft(doing: Doing) -> str:
    """Keep the draft; who writes to a post that nobody has takes it."""
    survey = doing.given.get("survey", "") or None
    text = doing.given.get("text", "")
    answer.draft(*doing.who, text=text, version=doing.reply_version, survey=survey)
    case = acts.seen(doing.store, doing.case_id, doing.user)
    if case.state in ("new", "reopened"):
        acts.claim(*doing.who, lease=doing.lease)
    return "saved"


def _submit(doing: Doing) -> str:
    _draft(doing)
    case = answer.submit(*doing.who, outbox=doing.outbox)
    return "submitted" if case.state == "waiting" else "queued"


def _by_hand(doing: Doing) -> str:
    url, text = doing.given.get("url", "") or None, doing.given.get("text")
    answer.by_hand(*doing.who, url=url, text=text, version=doing.reply_version)
    return "replied"


def _approve(doing: Doing) -> str:
    answer.approve(*doing.who, outbox=doing.outbox, version=doing.reply_version)
    return "approved"


def _send_back(doing: Doing) -> str:
    answer.send_back(*doing.who, remark=doing.given.get("remark", ""), version=doing.reply_version)
    return "returned"


def _withdraw(doing: Doing) -> str:
    answer.withdraw(*doing.who, version=doing.reply_version)
    return "withdrawn"


def _say_sent(doing: Doing) -> str:
    answer.say_sent(*doing.who, version=doing.reply_version)
    return "replied"


def _say_not_sent(doing: Doing) -> str:
    answer.say_not_sent(*doing.who, version=doing.reply_version)
    return "not sent"


_ACTS: Mapping[str, Act] = {
    "claim": Act(_claim, "claim it"),
    "release": Act(_release, "release it"),
    "take over": Act(_take_over, "take it over"),
    "assign": Act(_assign, "assign it"),
    "dismiss": Act(_dismiss, "dismiss it", ends=True),
    "snooze": Act(_snooze, "snooze it", ends=True),
    "reopen": Act(_reopen, "reopen it"),
    "level": Act(_level, "set its level"),
    "escalate": Act(_escalate, "escalate it"),
    "tag": Act(_tag, "tag it"),
    "untag": Act(_untag, "take a tag off it"),
    "note": Act(_note, "keep a note"),
    "correct": Act(_correct, "correct its labels"),
    "draft": Act(_draft, "save a draft"),
    "submit": Act(_submit, "hand on a reply", ends=True),
    "by hand": Act(_by_hand, "mark it as replied", ends=True),
    "approve": Act(_approve, "approve the reply", ends=True),
    "send back": Act(_send_back, "send the reply back"),
    "withdraw": Act(_withdraw, "withdraw the reply"),
    "say sent": Act(_say_sent, "say that the reply was sent"),
    "say not sent": Act(_say_not_sent, "say that the reply was not sent"),
}
