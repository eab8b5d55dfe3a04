"""The page on which a team judges some posts a day, `/label`, so that it knows how good the model is on its own posts.

What the model says is not shown before a person has answered: who sees an answer tends to agree with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from db.desk import User, visible
from db.errors import InputError
from db.labels import GUIDE, UNSURE
from db.records import Match, Score, Verdict
from db.store import Store
from models.intervals import wilson
from monitor.questions import MEANINGS, codes
from monitor.web.auth import form, need
from monitor.web.forms import number_of
from monitor.web.site import SEEN, Site

DAILY = 10
MORE = 40  # posts, of which the page says what they would add
LEAST = 10  # judged, below which a share is not shown
KEYS: Mapping[str, str] = {"sentiment": "", "stage": "s", "reply": "r", "pillar": "p", "touchpoint": "t"}
TITLES: Mapping[str, str] = {
    "sentiment": "How does the author feel about the brand?",
    "stage": "Where in the journey are they?",
    "reply": "Does it need an answer?",
    "pillar": "What is it about?",
    "touchpoint": "Where did it happen?",
}
UNCHOSEN = "Say how the author feels about the brand, or that the post is not about it."
GONE = "This post is not there any more, or not in today's sample; nothing was stored."

Drawn = tuple[Match, Score, Verdict | None]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """On how many posts drawn at random the model agreed with people, and how far more posts would narrow that."""

    agreed: int
    judged: int

    @property
    def interval(self) -> tuple[float, float]:
        """Between what the share lies with 95 % confidence."""
        return wilson(self.agreed, self.judged)

    @property
    def narrowed(self) -> float:
        """Half of how wide the interval is after `MORE` posts on which it agrees as often."""
        low, high = wilson(self.agreed / self.judged * (self.judged + MORE), self.judged + MORE)
        return (high - low) / 2


class Samples:
    """Remembers today's sample of each set of brands: to draw it, many posts are gone through."""

    def __init__(self) -> None:
        self._day: datetime | None = None
        self._drawn: dict[tuple[str, ...], list[int]] = {}
        self._lock = Lock()

    def of(self, store: Store, brands: Sequence[str], now: datetime) -> list[int]:
        """Return the ids of the matches that are to be judged today."""
        day, key = now.replace(hour=0, minute=0, second=0, microsecond=0), tuple(sorted(brands))
        with self._lock:
            if day != self._day:
                self._day, self._drawn = day, {}
            if key not in self._drawn:
                found = store.verdicts.daily(DAILY, key, day) if key else []
                if key and not found:  # the first day: nothing was read before it
                    found = store.verdicts.daily(DAILY, key, day, now)
                if len(found) < DAILY:  # a young database: what is rated later today may still join
                    return found
                self._drawn[key] = found
            return self._drawn[key]


def mount(app: FastAPI, site: Site) -> None:
    """Add the page."""
    samples = Samples()
    own = tuple(brand.name for brand in site.config.brands if brand.own)

    def brands_of(user: User) -> tuple[str, ...]:
        return tuple(brand for brand in visible(user, own) if brand in own)

    def page(request: Request, user: User, notice: str = "", status: int = 200, **typed: Any) -> Response:
        asked = _numbers(request.query_params.getlist("match"))
        skipped = _numbers(request.query_params.getlist("skip"))[:DAILY]
        with site.store() as store:
            brands = brands_of(user)
            drawn = store.verdicts.drawn(samples.of(store, brands, site.clock()))
            model = store.models.in_force()
            counted = store.verdicts.agreement("sentiment", brands, model.created_at if model else None)
        open_ = [one for one in drawn if one[2] is None and one[0].id not in skipped]
        chosen = [one for one in drawn if one[0].id in asked]
        last = [one for one in drawn if str(one[0].id) == request.query_params.get("done") and one[2] is not None]
        current = next(iter([*chosen, *open_]), None)
        given = current[2] if current else None
        values = {
            "current": current[0] if current else None,
            "given": {"about": given.about, "labels": given.labels} if given else {"about": True, "labels": {}},
            "typed": typed,
            "questions": [(question, TITLES[question], KEYS[question], codes(question)) for question in GUIDE],
            "meanings": MEANINGS,
            "number": sum(one[2] is not None for one in drawn) + (given is None),
            "judged": sum(one[2] is not None for one in drawn),
            "count": len(drawn),
            "skipped": skipped,
            "last": _compared(last[0]) if last else None,
            "accuracy": Accuracy(*counted),
            "least": LEAST,
            "more": MORE,
            "brands": brands,
            "notice": notice,
        }
        return site.page(request, "label.html", values, status)

    @app.api_route("/label", methods=SEEN, response_class=HTMLResponse)
    def show(request: Request, user: Annotated[User, Depends(need("responder"))]) -> Response:
        return page(request, user)

    @app.post("/label")
    async def judge(request: Request, user: Annotated[User, Depends(need("responder"))]) -> Response:
        return await run_in_threadpool(keep, request, user, await form(request))

    def keep(request: Request, user: User, given: Mapping[str, str]) -> Response:
        now = site.clock()
        about = given.get("do") != "other"
        labels = {question: given[question] for question in GUIDE if given.get(question)} if about else {}
        if about and "sentiment" not in labels:
            return page(request, user, UNCHOSEN, 422, **labels)
        number = _numbers([given.get("match", "")])
        with site.store() as store:
            if not number or number[0] not in samples.of(store, brands_of(user), now):
                return page(request, user, GONE, 404)
            verdict = Verdict(number[0], user.name, now, labels, random=True, about=about)
            try:
                with store.transaction():
                    store.verdicts.give([verdict])
            except InputError as error:
                return page(request, user, str(error), 422)
        skipped = "".join(f"&skip={one}" for one in _numbers(request.query_params.getlist("skip"))[:DAILY])
        return site.go(request, f"/label?done={number[0]}{skipped}")


def _compared(drawn: Drawn) -> dict[str, Any]:
    """Lay a person's answers beside the model's."""
    match, score, verdict = drawn
    rows = []
    for question in GUIDE if verdict and verdict.about else ():
        said, model = verdict.labels.get(question) if verdict else None, score.label(question)
        if said is not None and model is not None:
            sure = score.probabilities(question).get(model)
            rows.append({"question": question, "said": said, "model": model, "sure": sure, "unsure": model == UNSURE})
    return {"match": match, "about": bool(verdict and verdict.about), "rows": rows}


def _numbers(values: Sequence[str]) -> list[int]:
    return [number for number in map(number_of, values) if number is not None]
