"""Posts and people's word on them."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from db.desk import User
from db.errors import InputError
from db.labels import LABELS
from db.posts import Mark, Wanted
from db.records import Match
from db.store import Store
from jobs.desk import acts
from monitor.web.api import models
from monitor.web.api.asking import (
    LARGEST_ID,
    MOST,
    Given,
    Id,
    Name,
    OneOf,
    Pillars,
    Reader,
    Replies,
    Sentiments,
    Span,
    Touchpoints,
    Whole,
    Words,
    Worker,
)
from monitor.web.api.problems import documented
from monitor.web.forms import Refused
from monitor.web.site import Site

AFTER = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z~[0-9]{1,15}$"
TEXT_LENGTH = 300


class AskedPosts(Span):
    """Which posts are wanted."""

    sentiment: Sentiments = Field([], description="With this sentiment, or not_rated; may be repeated.")
    reply: Replies = Field([], description="That need an answer (yes), or do not.")
    pillar: Pillars = Field([], description="About this; may be repeated.")
    touchpoint: Touchpoints = Field([], description="Of those who met the brand here; may be repeated.")
    text: Words = Field("", max_length=TEXT_LENGTH, description='With all these words; "in quotes" as a phrase.')
    author: Name = Field("", description="Of this author.")
    alert: int | None = Field(None, ge=1, le=LARGEST_ID, description="That made this alert.")
    copies: bool = Field(True, description="False leaves out posts that pass on or repeat another one.")
    after: str | None = Field(None, pattern=AFTER, description="What the answer before said.")
    limit: int = Field(100, ge=1, le=MOST, description="How many at most.")

    def wanted(self, user: User) -> Wanted:
        """Return the question, narrowed to the brands that somebody may see."""
        return Wanted(
            chosen=replace(
                self.filter(user),
                sentiments=tuple(self.sentiment),
                replies=tuple(self.reply),
                pillars=tuple(self.pillar),
                touchpoints=tuple(self.touchpoint),
            ),
            text=self.text,
            author=self.author,
            alert_id=self.alert,
            copies=self.copies,
        )


class Labels(Given):
    """The right labels of a post; those left out stay as they are."""

    sentiment: Annotated[str, OneOf(LABELS["sentiment"])] | None = None
    stage: Annotated[str, OneOf(LABELS["stage"])] | None = None
    reply: Annotated[str, OneOf(LABELS["reply"])] | None = None
    pillar: Annotated[str, OneOf(LABELS["pillar"])] | None = None
    touchpoint: Annotated[str, OneOf(LABELS["touchpoint"])] | None = None


class Said(Given):
    """A person's word on a post. It wins over the model's at once, in every count."""

    post: Whole = Field(description="The `id` of the post.")
    labels: Labels = Labels()
    about: bool | None = Field(
        None, description="False: it is not about the brand at all, and counts nowhere. True: it is, after all."
    )


def router(site: Site) -> APIRouter:
    """Make the addresses."""
    routes = APIRouter(tags=["Posts"])

    @routes.get("/posts", responses=documented(400))
    def posts(asked: Annotated[AskedPosts, Query()], user: Reader) -> models.Posts:
        """List posts, the newest first: those that were judged, or found to be beyond judging."""
        with site.store() as store:
            page = store.posts.page(asked.wanted(user), "newest", asked.limit, _mark(asked.after))
        after = f"{page.after.value}~{page.after.match_id}" if page.after else None
        return models.Posts(posts=[models.post_out(match) for match in page.posts], after=after)

    @routes.get("/posts/{number}", responses=documented(404))
    def post(number: Id, user: Reader) -> models.Post:
        """Return one post."""
        with site.store() as store:
            return models.post_out(seen(store, number, user))

    @routes.post("/verdicts", status_code=201, responses=documented(400, 404, 413))
    def correct(said: Said, user: Worker) -> models.Post:
        """Correct the labels of a post, or say that it is not about the brand; returns it as it is now.

        What is left out stays as people have said it before.
        """
        labels = {name: label for name, label in said.labels.model_dump().items() if label is not None}
        if not labels and said.about is None:
            raise InputError("labels: nothing is said of the post; give a label, or about")
        with site.store() as store, store.transaction():
            match = seen(store, said.post, user)
            store.verdicts.give([acts.word(match, user, site.clock(), labels, said.about)])
            return models.post_out(seen(store, said.post, user))

    return routes


def seen(store: Store, number: int, user: User) -> Match:
    """Return a post that somebody may see; Refused where there is none."""
    match = next(iter(store.mentions.of([number])), None)
    if match is None or not user.sees(match.brand):
        raise Refused(404, "There is no such post.")
    return match


def _mark(after: str | None) -> Mark | None:
    if after is None:
        return None
    time, _, number = after.partition("~")
    return Mark(time, int(number))
