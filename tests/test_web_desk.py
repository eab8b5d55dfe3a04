"""The list of the desk: what is in it, for whom, filtered by the address; and what is done with several posts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from bs4 import BeautifulSoup

from db.desk import Session
from db.errors import InputError
from db.tokens import hashed
from jobs.desk import acts
from jobs.desk.hours import Hours
from jobs.schedule import run_job
from monitor import config, plugins
from monitor.app import App
from monitor.web.auth import LOCAL
from monitor.web.desk.times import until
from monitor.web.desk.words import Waiting, waiting
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention
from tests.web_desk_rig import Desk, desk, items, soup, start, text
from tests.web_visitor import Answer, Visitor

__all__ = ["desk"]

FILTERS: Sequence[tuple[Mapping[str, str | Sequence[str]], set[int]]] = [
    ({"brand": "Zenith"}, {3}),
    ({"sentiment": "positive"}, {2}),
    ({"sentiment": ["positive", "negative"]}, {1, 2}),
    ({"source": "reddit"}, {3}),
    ({"level": "high"}, {2}),
    ({"q": "twice"}, {1}),
    ({"assignee": "bob"}, {1}),
    ({"assignee": "-"}, {2, 3}),
    ({"tag": "vip"}, {2}),
    ({"q": 'a"b OR ('}, set()),
    ({"alert": "12"}, set()),
]
WRONG: Sequence[tuple[str, str]] = [
    ("source=nonsense", "source=nonsense in the address: there is no such source; take one of reddit, x"),
    ("brand=acme", "brand=acme in the address: there is no such brand; take one of Acme, Zenith"),
    ("sentiment=foo&level=high", "there is no such sentiment; take one of negative, neutral, positive"),
    (
        "level=%3Cscript%3E",
        "level=<script> in the address: there is no such level; take one of low, normal, high, urgent",
    ),
    ("tab=ours", "there is no such tab; take one of answer, mine, waiting, snoozed, done, all"),
    ("assignee=nobody", "there is no such assignee; take one of -, ann, bob"),
    ("overdue=maybe", "there is no such overdue; take one of 1"),
    ("alert=99999999999999999999", "not a number; write one, or leave it out"),
    ("page=last", "not a number"),
    ("sort=zzz", "sort=zzz in the address: this page takes no such thing; it takes brand, source, tag"),
    ("days=abc", "days=abc in the address: this page takes no such thing"),
    ("q=" + "a" * 201, "40 values of 200 characters are read at most"),
    ("&".join(f"tag={number}" for number in range(400)), "40 values of 200 characters are read at most"),
]
NONSENSE: Sequence[tuple[Mapping[str, str], int]] = [
    ({"do": "claim"}, 400),
    ({"do": "nonsense", "case": "1"}, 400),
    ({"do": "snooze", "case": "1", "until": "yesterday"}, 400),
    ({"do": "dismiss", "case": "1", "reason": "bored"}, 409),
    ({"do": "tag", "case": "1", "tag": ""}, 409),
]


def test_the_most_urgent_post_comes_first_and_says_why_it_is_here(desk: Desk) -> None:
    desk.open("acme is awful")
    desk.open("acme is down?", level="urgent")
    page = desk.who("ann").get("/desk")
    assert items(page) == [2, 1]
    first = soup(page).select_one(".item")
    assert first
    assert "asks for an answer" in first.get_text()
    assert "urgent" in first.get_text()
    assert "due in 1 h" in first.get_text()


def test_a_post_past_its_target_stands_out(desk: Desk) -> None:
    desk.open("acme is awful")
    desk.clock.on(HOUR + 25 * MINUTE)
    late = soup(desk.who("ann").get("/desk")).select_one(".due.late")
    assert late
    assert late.get_text() == "overdue 25 min"


def test_what_is_due_tells_how_much_of_it_is_business_hours(desk: Desk) -> None:
    (case,) = desk.open("acme is down?", level="urgent")
    friday, hours = datetime(2026, 3, 6, 16, 40, tzinfo=UTC), Hours()
    for due, told, kind in (
        (friday + 15 * MINUTE, "due in 15 min", "soon"),
        (friday + 16 * HOUR, "due in 16 h (20 min of business hours)", "soon"),
        (friday + 3 * DAY, "due 2026-03-09 16:40 (8 h of business hours)", ""),
    ):
        assert waiting(replace(case, due=due), friday, hours) == Waiting(told, kind)


def test_tabs_count_what_they_hold(desk: Desk) -> None:
    desk.open(*(f"acme is awful {number}" for number in range(6)))
    desk.press("ann", "claim", 1)
    desk.press("bob", "claim", 2)
    desk.press("ann", "dismiss", 3, reason="spam")
    desk.press("ann", "snooze", 4, until="1h")
    page = desk.who("ann").get("/desk")
    counts = {str(tag["data-count"]): tag.get_text() for tag in soup(page).select(".tabs .count")}
    assert counts == {"answer": "4", "mine": "1", "waiting": "0", "snoozed": "1", "done": "1", "all": "6"}
    for tab, held in (("mine", {1}), ("snoozed", {4}), ("done", {3}), ("all", {1, 2, 3, 4, 5, 6})):
        assert set(items(desk.who("ann").get(f"/desk?tab={tab}"))) == held


def test_filters_stand_in_the_address(desk: Desk) -> None:
    desk.open("acme charged twice")
    desk.open("love acme", level="high")
    desk.open("zenith is fine", brand="Zenith", source="reddit")
    desk.press("bob", "claim", 1)
    desk.press("ann", "tag", 2, tag="#VIP")
    for asked, found in FILTERS:
        page = desk.who("ann").get(f"/desk?{urlencode(asked, doseq=True)}")
        assert set(items(page)) == found, asked
        assert "<script>" not in page.text


@pytest.mark.parametrize(("asked", "why"), WRONG)
def test_an_address_that_makes_no_sense_lists_nothing_and_says_what_to_write(asked: str, why: str, desk: Desk) -> None:
    desk.open("acme charged twice")
    desk.open("acme is fine", source="reddit")
    answer = desk.who("ann").get(f"/desk?{asked}")
    assert answer.status == 400
    page = BeautifulSoup(answer.text, "html.parser")
    (told,) = page.select('[role="alert"]')
    assert why in " ".join(told.get_text().split())
    assert not page.select(".item")
    assert page.select_one('.empty a[href$="desk"]')
    case = desk.who("ann").get(f"/desk/cases/1?{asked}")
    assert why in text(case)
    assert "acme charged twice" in text(case)


def test_what_our_own_links_say_is_no_mistake(desk: Desk) -> None:
    desk.open("acme is awful")
    for asked in ("?did=dismissed&of=1", "?tab=answer&page=1", "?assignee=ANN&q=&tag=", "?alert=7&overdue=1"):
        assert desk.who("ann").get(f"/desk{asked}").status == 200, asked
    with desk.store as store, store.transaction():  # claimed before there were users
        acts.assign(store, 1, LOCAL, NOW, to=LOCAL.name)
    assert items(desk.who("ann").get("/desk?assignee=local")) == [1]
    assert desk.who("ann").get("/desk/cases/1?use=1&like=1&did=saved").status == 200


def test_a_view_that_asks_for_what_has_gone_says_so_and_can_be_removed(desk: Desk) -> None:
    desk.open("acme is awful")
    ann = desk.who("ann")
    ann.press("/desk/views", name="Old ones", query="source=myspace&level=high")
    ann.press("/desk/views", name="Fine ones", query="level=high")
    page = soup(ann.get("/desk"))
    (spoilt,) = [row for row in page.select("li.row") if "asks for what is not there any more" in row.get_text()]
    assert "Old ones" in spoilt.get_text()
    opened = ann.get("/desk?source=myspace&level=high")
    assert (opened.status, "there is no such source" in text(opened)) == (400, True)
    assert "views/1/remove" in opened.text
    assert ann.press("/desk/views/1/remove").status == 303
    assert "not there any more" not in ann.get("/desk").text


def test_a_view_that_opens_is_not_marked_however_it_names_who_has_the_case(desk: Desk) -> None:
    desk.open("acme is awful")
    with desk.store as store, store.transaction():  # claimed before there were users
        acts.assign(store, 1, LOCAL, NOW, to=LOCAL.name)
    ann = desk.who("ann")
    for name, query in (("Local", "assignee=local"), ("Mine", "assignee=ANN"), ("Gone", "assignee=nemo")):
        ann.press("/desk/views", name=name, query=query)
    marked = [row for row in soup(ann.get("/desk")).select("li.row") if "not there any more" in row.get_text()]
    assert [row.get_text().split()[0] for row in marked] == ["Gone"]
    assert [ann.get(f"/desk?assignee={name}").status for name in ("local", "ANN", "nemo")] == [200, 200, 400]


def test_a_long_list_has_pages(desk: Desk) -> None:
    desk.open(*(f"acme is awful {number}" for number in range(40)))
    first, second = desk.who("ann").get("/desk"), desk.who("ann").get("/desk?page=2")
    assert len(items(first)) == 30
    assert len(items(second)) == 10
    assert not set(items(first)) & set(items(second))
    further = soup(first).select_one('.pages a[rel="next"]')
    assert further
    assert str(further["href"]).endswith("desk?page=2")
    assert items(desk.who("ann").get("/desk?page=99999999999")) == []


def test_brands_that_somebody_may_not_see_are_not_there(desk: Desk) -> None:
    desk.open("acme is awful")
    desk.open("zenith is awful", brand="Zenith")
    zoe = desk.who("zoe")
    assert items(zoe.get("/desk?tab=all")) == [2]
    refused = zoe.get("/desk?brand=Acme")
    assert (refused.status, "is awful" in refused.text) == (400, False)
    assert "there is no such brand; take one of Zenith" in text(refused)
    assert zoe.get("/desk/cases/1").status == 404
    assert desk.press("zoe", "claim", 1).status == 404
    assert "Acme" not in zoe.get("/desk").text


def test_a_viewer_sees_no_buttons_and_is_refused_all_the_same(desk: Desk) -> None:
    desk.open("acme is awful")
    vera = desk.who("vera")
    for address in ("/desk", "/desk/cases/1"):
        forms = soup(vera.get(address)).select('main form[method="post"]')
        assert all(str(form["action"]).endswith("desk/views") for form in forms)
    assert desk.press("vera", "claim").status == 403
    assert vera.press("/desk/several", do="claim", case="1").status == 403
    assert vera.get("/desk/rules").status == 403
    assert vera.press("/desk/snippets", name="a", text="b").status == 403
    assert desk.case().state == "new"


def test_without_the_token_of_the_page_nothing_is_done(desk: Desk) -> None:
    desk.open("acme is awful")
    assert desk.who("ann").send("/desk/cases/1", {"do": "claim", "version": "0"}).status == 403
    assert desk.case().state == "new"


def test_several_posts_are_claimed_and_dismissed_at_once(desk: Desk) -> None:
    desk.open(*(f"acme is awful {number}" for number in range(4)))
    done = desk.who("ann").press("/desk/several", do="claim", case=["1", "2"], query="level=normal")
    assert (done.status, done.leads) == (303, "/desk?level=normal")
    assert [desk.case(number).assignee for number in (1, 2, 3)] == ["ann", "ann", None]
    desk.who("ann").press("/desk/several", do="dismiss", case=["3", "4"], reason="spam")
    assert {desk.case(number).dismissed_for for number in (3, 4)} == {"spam"}


def test_what_could_not_be_done_to_several_is_told_with_the_reason(desk: Desk) -> None:
    desk.open(*(f"acme is awful {number}" for number in range(3)))
    desk.press("bob", "claim", 2)
    answer = desk.who("ann").press("/desk/several", do="claim", case=["1", "2", "3", "77", "x"])
    assert answer.status == 200
    said = text(answer)
    assert "2 of 4 claimed" in said
    assert "bob has case 2" in said
    assert "there is no case 77" in said
    assert desk.case(2).assignee == "bob"
    assert desk.case(3).assignee == "ann"


def test_nonsense_for_several_changes_nothing(desk: Desk) -> None:
    desk.open("acme is awful")
    for fields, status in NONSENSE:
        assert desk.who("ann").press("/desk/several", **fields).status == status, fields
    assert desk.case().version == 0


def test_a_view_is_kept_shared_and_removed_by_its_owner(desk: Desk) -> None:
    ann, bob = desk.who("ann"), desk.who("bob")
    ann.press("/desk/views", name="Loud ones", query="level=high&tab=mine&page=3", shared="1")
    ann.press("/desk/views", name="Only mine", query="level=low")
    assert "Loud ones" in ann.get("/desk").text
    assert "Only mine" in ann.get("/desk").text
    page = bob.get("/desk")
    assert "Loud ones" in page.text
    assert "Only mine" not in page.text
    assert soup(page).select_one('a[href$="desk?level=high&tab=mine"]')
    assert bob.press("/desk/views/1/remove").status == 404
    assert ann.press("/desk/views/1/remove").status == 303
    assert "Loud ones" not in bob.get("/desk").text


def test_a_view_without_a_name_is_refused(desk: Desk) -> None:
    assert desk.who("ann").press("/desk/views", name=" ", query="level=high").status == 400


def test_the_list_says_how_often_an_author_wrote_before_and_how_that_went(desk: Desk) -> None:
    desk.open("acme is awful", author="Dora", at=NOW - DAY)
    desk.open("acme is awful again", author="Dora")
    assert "1 earlier, none answered" in text(desk.who("ann").get("/desk"))
    desk.press("ann", "by hand", 1, text="Sorry!")
    assert "1 earlier, 1 answered" in text(desk.who("ann").get("/desk"))


def test_what_comes_on_friday_at_a_quarter_to_five_is_due_on_monday_though_the_clocks_change(folder: Path) -> None:
    friday = datetime(2026, 3, 27, 15, 45, tzinfo=UTC)  # 16:45 in Berlin, where summer time begins on Sunday
    made = start(folder, '[desk]\ntimezone = "Europe/Berlin"\nhours = "09:00-17:00"\ntargets = { normal = "30m" }')

    def seen(at: datetime, path: str) -> Answer:
        """What somebody sees who logs in at a time."""
        made.clock.now, key = at, f"key of {at}"
        with made.store as store, store.transaction():
            store.sessions.add(Session(hashed(key), 1, at, at, at + DAY, "test"))
        return Visitor(made.server.url, cookies={"sentimon_session": key}).get(path)

    made.clock.now = friday
    try:
        with made.store as store:
            keep(store, mention(1, "acme is down, what now?", friday - HOUR, collected_at=friday))
            judge(store, now=friday)
            for job in App(config.load(folder / "sentimon.toml", plugins.load())).jobs():
                if job.name in ("group", "triage"):
                    run_job(job, store, made.clock)
        (item,) = soup(seen(friday, "/desk")).select(".item")
        assert "due 2026-03-30 07:15" in " ".join(item.get_text(" ").split())  # 9:15 there
        monday = datetime(2026, 3, 30, 7, 15, tzinfo=UTC)
        assert items(seen(monday, "/desk?overdue=1")) == []
        assert items(seen(monday + MINUTE, "/desk?overdue=1")) == [1]
    finally:
        made.server.stop()


def test_a_time_is_the_same_moment_however_it_is_written() -> None:
    assert until("2026-03-05T09:00", NOW, "Europe/Berlin") == until("2026-03-05T10:00+01:00", NOW, "UTC")
    with pytest.raises(InputError, match="no time"):
        until("0001-01-01T00:00+10:00", NOW, "UTC")


def test_no_number_however_long_breaks_a_form(desk: Desk) -> None:
    desk.open("acme is awful")
    done = desk.press("ann", "dismiss", reason="spam", next="9" * 5_000)
    assert (done.status, done.leads) == (303, "/desk?did=dismissed&of=1")
