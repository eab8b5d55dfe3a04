"""A server that has answered before shows what one shows that has just started, whatever has changed since."""

import re
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from db.desk import User
from db.filters import Filter
from db.records import Verdict
from db.store import Store
from jobs.desk import acts
from jobs.group import group
from monitor import accounts, config, plugins
from monitor.web.app import build
from monitor.web.auth import COOKIE
from tests.brands_rig import OTHER, Walled, walled
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention

PAGES = ("/", "/journey", "/experience", "/compare", "/posts", "/care", "/desk", "/status.json", "/alerts")
FILES = ("/charts/timeline.csv", "/charts/changes.json")
API = tuple(f"/api/v1/{name}" for name in ("overview", "journey", "experience", "compare", "care"))
SPANS = (
    "/?days=7",
    "/?days=90&step=day",
    "/journey?days=7",
    "/experience?days=7",
    "/compare?days=7",
    "/compare?by=source",
)
LISTS = ("/posts?sentiment=negative", "/posts?q=refund", "/desk?q=refund", "/desk?tab=all", "/care?span=90d")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walled]:
    yield from walled(tmp_path_factory.mktemp("warm"), other=True)


def seen(client: TestClient) -> dict[tuple[str, str], str]:
    """What everybody sees, less what is drawn anew for each page."""
    found = {}
    for key in ("mias", "bosss"):
        client.cookies.set(COOKIE, key)
        for path in (*PAGES, *FILES, *API, *SPANS, *LISTS):
            text = client.get(path).text
            found[key, path] = re.sub(r'name="csrf" value="[^"]*"', "", text)
    return found


def score(store: Store) -> None:
    keep(store, mention("new", "awful acme refund, charged twice?", NOW - MINUTE, author="new"))
    judge(store)


def judge_by_person(store: Store) -> None:
    store.verdicts.give([Verdict(1, "eve", NOW, {"sentiment": "positive", "stage": "advocacy", "pillar": "people"})])


def say_not_about(store: Store) -> None:
    store.verdicts.give([Verdict(2, "eve", NOW, {}, about=False)])


def edit(store: Store) -> None:
    keep(store, mention("acme-id-0", "love acme", NOW - 5 * MINUTE, author="acmeauthor", collected_at=NOW + HOUR))
    judge(store)


def erase(store: Store) -> None:
    store.forgotten.erase_named("x", ["acme-id-1"], NOW, "deleted")


def dismiss(store: Store) -> None:
    (case, *_) = store.cases.waiting(Filter(brands=("Acme",)), 1)
    acts.dismiss(store, case.id, boss(store), NOW, reason="spam")


def mark_copies(store: Store) -> None:
    keep(store, *(mention(f"copy{n}", "acme refund, charged twice? who can help", NOW, author=f"c{n}") for n in (1, 2)))
    judge(store)
    group(store)


def write_of_the_other(store: Store) -> None:
    keep(store, mention("theirs", "love it", NOW - 40 * DAY, author="far"), brands=(OTHER,))
    judge(store)


def boss(store: Store) -> User:
    return accounts.known(store, "boss")


ALONE = (score, edit, mark_copies, write_of_the_other)  # in transactions of their own
CHANGES = (
    score,
    judge_by_person,
    say_not_about,
    mark_copies,
    edit,
    erase,
    dismiss,
    write_of_the_other,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_warm_server_shows_what_a_new_one_does(place: Walled, change: Callable[[Store], None]) -> None:
    before = seen(place.client)
    with Store(place.database) as store:
        if change in ALONE:
            change(store)
        else:
            with store.transaction():
                change(store)
    after = seen(place.client)
    settings = config.load(place.folder / "sentimon.toml", plugins.load())
    with TestClient(build(settings, lambda: NOW), follow_redirects=False) as new:
        fresh = seen(new)
    assert [key for key in fresh if after[key] != fresh[key]] == []
    assert [key for key in fresh if before[key] != after[key]] != []
