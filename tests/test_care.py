"""How long people waited, what became of their posts, and the page that says so."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from html import unescape
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from db.desk import User
from db.store import Store
from jobs.desk import acts
from jobs.desk.care import Care, care, spread
from jobs.desk.hours import Hours, working
from monitor import config, plugins
from monitor.web.app import build
from tests.case_rig import SITE, answer, case_of, dismiss, log_in, pages
from tests.cli_rig import configure
from tests.support import DAY, HOUR, MINUTE, NOW
from tests.web_desk_rig import Clock

BERLIN = Hours(ZoneInfo("Europe/Berlin"), time(9), time(17))
ANN, VERA = User(0, "ann", "approver"), User(0, "vera", "viewer", brands=("Acme",))


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store(folder / "posts.db") as store:
        yield store


def figures(store: Store, since: datetime = NOW - 28 * DAY, **more: object) -> Care:
    brands, sources = more.get("brands", ()), more.get("sources", ())
    return care(store, brands, sources, since, NOW, NOW, BERLIN)  # type: ignore[arg-type]


def test_a_spread_is_told_by_its_middle_and_by_what_ninety_of_a_hundred_stay_below() -> None:
    found = spread(60 * n for n in reversed(range(1, 102)))
    assert (found.n, found.median, found.high) == (101, 51 * MINUTE, 91 * MINUTE)
    assert spread([60, 180]).median == 2 * MINUTE
    assert spread([]).median is None


def test_the_first_reply_counts_from_the_post_by_the_clock_and_in_business_hours(store: Store) -> None:
    friday = datetime(2026, 2, 27, 16, 45, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    case = case_of(store, 1, at=friday)
    answer(store, case, after=timedelta(days=2, hours=16, minutes=30))  # Monday 9:15
    answer(store, case, "once more", after=4 * DAY)
    every = figures(store).every
    assert (every.first.n, every.first.median) == (1, timedelta(days=2, hours=16, minutes=30))
    assert every.business.median == 30 * MINUTE


def test_business_time_is_what_working_says_also_over_a_change_of_the_clock(store: Store) -> None:
    begins = datetime(2026, 3, 27, 3, tzinfo=UTC)
    for number in range(40):
        case = case_of(store, number, at=begins + number * 3 * HOUR)
        answer(store, case, after=timedelta(hours=number * 1.7))
    now = begins + 10 * DAY
    found = store.care.answered((), (), begins, now)
    expected = sorted(
        working(datetime.fromtimestamp(case.posted, UTC), datetime.fromtimestamp(case.replied, UTC), BERLIN)
        for case in found
    )
    business = care(store, (), (), begins, now, now, BERLIN).every.business
    assert business.n == 40
    assert business.median == (expected[19] + expected[20]) / 2


def test_a_reply_counts_when_it_was_given_and_a_post_when_it_was_written(store: Store) -> None:
    answer(store, case_of(store, 1, at=NOW - 10 * DAY), after=9 * DAY)
    recent = figures(store, NOW - 7 * DAY).every
    assert (recent.first.n, recent.outcomes.all) == (1, 0)
    earlier = care(store, (), (), NOW - 20 * DAY, NOW - 5 * DAY, NOW, BERLIN).every
    assert (earlier.first.n, earlier.outcomes.all) == (0, 1)


def test_dismissing_makes_no_figure_look_better_than_it_is(store: Store) -> None:
    answer(store, case_of(store, 1, at=NOW - 5 * HOUR), after=HOUR)
    dismiss(store, case_of(store, 2, at=NOW - 5 * HOUR), "spam")
    case_of(store, 3, at=NOW - 5 * HOUR)
    case_of(store, 4, at=NOW - HOUR)
    found = figures(store)
    outcomes = found.every.outcomes
    assert (outcomes.answered, outcomes.dismissed, outcomes.open, outcomes.all) == (1, 1, 2, 4)
    assert outcomes.reasons == {"spam": 1}
    assert outcomes.overdue == 1
    assert found.untouched == 2
    assert found.lag.median == MINUTE


def test_what_was_answered_stays_answered_though_it_was_reopened_or_closed_since(store: Store) -> None:
    case = case_of(store, 1, at=NOW - 5 * HOUR)
    answer(store, case, after=HOUR)
    current = store.cases.get(case.id)
    assert current is not None
    with store.transaction():
        store.cases.save(replace(current, state="reopened", closed_at=None))
    outcomes = figures(store).every.outcomes
    assert (outcomes.answered, outcomes.open) == (1, 0)


def test_a_late_answer_stays_late_though_the_case_was_reopened_and_has_more_time_now(store: Store) -> None:
    case = case_of(store, 1, at=NOW - DAY, due=NOW - DAY + 2 * HOUR)
    answer(store, case, after=3 * HOUR)
    with store.transaction():
        acts.reopen(store, case.id, ANN, NOW - 5 * HOUR)
        store.cases.set_due(case.id, NOW + HOUR)
    within = figures(store).every.within
    assert (within.count, within.of) == (0, 1)


def test_within_target_is_a_share_of_the_replies_that_had_one(store: Store) -> None:
    for number in range(9):
        answer(store, case_of(store, number, at=NOW - DAY), after=HOUR if number < 6 else 3 * HOUR)
    answer(store, case_of(store, 9, at=NOW - DAY, due=None), after=HOUR)
    within = figures(store).every.within
    assert (within.count, within.of) == (6, 9)
    low, high = within.interval
    assert (round(low, 2), round(high, 2)) == (0.35, 0.88)


def test_channels_brands_and_people_are_told_apart(store: Store) -> None:
    answer(store, case_of(store, 1, at=NOW - DAY, source="x"), after=HOUR, who="ann")
    answer(store, case_of(store, 2, at=NOW - DAY, source="reddit"), after=3 * HOUR, who="ben")
    answer(store, case_of(store, 3, at=NOW - DAY, brand="Bolt"), after=5 * HOUR, who="ben")
    found = figures(store)
    assert {g.name: g.first.median for g in found.by_source} == {"reddit": 3 * HOUR, "x": 3 * HOUR}
    assert {g.name: g.first.median for g in found.by_brand} == {"Acme": 2 * HOUR, "Bolt": 5 * HOUR}
    assert {g.name: (g.first.n, g.first.median) for g in found.by_person} == {"ann": (1, HOUR), "ben": (2, 4 * HOUR)}
    assert [case.replied - case.posted for case in found.slowest] == [5 * HOUR, 3 * HOUR, HOUR]
    assert figures(store, brands=("Acme",), sources=("x",)).every.first.n == 1


def test_the_page_says_n_and_leads_to_the_cases_behind_its_numbers(store: Store, folder: Path) -> None:
    answer(store, case_of(store, 1, at=NOW - DAY), after=HOUR, who="ben")
    case_of(store, 2, at=NOW - DAY, source="<b>x</b>")
    with pages(folder, SITE, user=ANN) as client:
        page = client.get("/care?span=7d&brand=Acme").text
        assert "n = 1: few" in page
        links = {unescape(found) for found in re.findall(r'href="(?:\./)?(desk\?[^"]*)"', page)}
        assert "desk?brand=Acme&source=%3Cb%3Ex%3C%2Fb%3E&overdue=1" in links, links
        assert "&lt;b&gt;x&lt;/b&gt;" in page
        assert "<b>x</b>" not in page
        assert "By person" in page
        assert "ben" in page
        refused = client.get("/care?span=forever")
        assert refused.status_code == 400
        assert "take one of 7d, 28d, 90d, 365d" in refused.text


class Once(Event):
    """Is over when it was waited for once."""

    waited = False

    def wait(self, timeout: float | None = None) -> bool:
        over, self.waited = self.waited, True
        return over


def test_figures_that_were_worked_out_before_anybody_asked_hold_what_was_answered_by_then(
    store: Store, folder: Path
) -> None:
    case = case_of(store, 1, at=NOW - MINUTE)
    configure(folder, SITE)
    clock = Clock()
    app = build(config.load(folder / "sentimon.toml", plugins.load(third_party=False)), clock)
    with TestClient(app, base_url="https://desk.example") as client:
        log_in(folder, client, ANN)
        for _ in range(2):
            assert client.get("/care.json").json()["all"]["first_reply"]["n"] == 0
        clock.on(MINUTE)
        with store.transaction():
            acts.replied_by_hand(store, case.id, ANN, clock.now)
        app.state.site.cared.keep_fresh(Once())
        assert client.get("/care.json").json()["all"]["first_reply"]["n"] == 1


def test_a_viewer_sees_no_persons_and_no_other_brands(store: Store, folder: Path) -> None:
    answer(store, case_of(store, 1, at=NOW - DAY), after=HOUR, who="ben")
    answer(store, case_of(store, 2, at=NOW - DAY, brand="Bolt"), after=5 * HOUR, who="ben")
    with pages(folder, SITE, user=VERA) as client:
        for path in ("/care", "/care.csv", "/care.json", "/care?brand=Bolt"):
            text = client.get(path).text
            assert "ben" not in text, path
            assert "Bolt" not in text.replace("brand=Bolt", ""), path
        assert client.get("/care.json").json()["all"]["first_reply"]["n"] == 1
        refused = client.get("/care.json?brand=Bolt")
        assert (refused.status_code, refused.text) == (
            400,
            "brand=Bolt in the address: there is no such brand; take one of Acme\n",
        )


@pytest.mark.parametrize("page", ["/care", "/care.csv", "/care.json"])
@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("span=forever", "span=forever in the address: there is no such span; take one of 7d, 28d, 90d, 365d"),
        ("source=nonsense", "source=nonsense in the address: there is no such source; take one of x"),
        ("brand=nonsense", "brand=nonsense in the address: there is no such brand; take one of Acme"),
        ("days=7", "days=7 in the address: this page takes no such thing; it takes span, brand, source"),
        ("sentiment=foo", "sentiment=foo in the address: this page takes no such thing"),
    ],
)
def test_an_address_that_makes_no_sense_is_answered_with_what_to_write(
    store: Store, folder: Path, page: str, asked: str, why: str
) -> None:
    case_of(store, 1, at=NOW - DAY)
    with pages(folder, SITE, user=ANN) as client:
        refused = client.get(f"{page}?{asked}")
        assert (refused.status_code, refused.text.count("\n")) == (400, 1)
        assert refused.text.startswith(why)
        assert client.get(f"{page}?span=&brand=&source=").status_code == 200


def test_the_table_is_defused_and_agrees_with_the_json(store: Store, folder: Path) -> None:
    answer(store, case_of(store, 1, at=NOW - DAY, source="=cmd()"), after=HOUR)
    with pages(folder, SITE, user=ANN) as client:
        rows = list(csv.DictReader(io.StringIO(client.get("/care.csv").text)))
        told = client.get("/care.json").json()
    assert [(row["kind"], row["name"]) for row in rows[:2]] == [("all", ""), ("source", "'=cmd()")]
    assert rows[0]["first_reply_median"] == str(told["all"]["first_reply"]["median"]) == "3600"
    assert told["all"]["within_target"]["n"] == 1


def test_an_empty_desk_says_what_to_do(folder: Path) -> None:
    with pages(folder, SITE, user=ANN) as client:
        assert "Nothing to measure in this span" in client.get("/care").text


def test_nobody_looks_without_logging_in(folder: Path) -> None:
    with pages(folder, SITE) as client:
        assert client.get("/care").status_code in (303, 401, 403)
