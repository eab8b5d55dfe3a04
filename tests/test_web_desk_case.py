"""The page of a case: what it shows, what its buttons do, and what happens when somebody else was quicker."""

from pathlib import Path

from bs4 import BeautifulSoup

from db.records import Reach
from monitor.web.desk.words import plain
from tests.support import DAY, MINUTE, NOW, rows
from tests.web_desk_rig import Desk, desk, soup, start, text
from tests.web_visitor import Answer

__all__ = ["desk"]


def happened(desk: Desk, number: int = 1) -> list[str]:
    with desk.store as store:
        return [event.what for event in store.cases.events(number)]


def test_a_case_shows_its_post_its_labels_and_what_happened(desk: Desk) -> None:
    desk.open("acme charged twice", author="dora", reach=Reach(followers=12345))
    desk.press("ann", "claim")
    desk.press("ann", "note", text="Called billing.")
    page = desk.who("bob").get("/desk/cases/1")
    said = text(page)
    for part in ("acme charged twice", "dora", "12,345 followers", "ann has it until 12:10 UTC", "Called billing."):
        assert part in said
    pressed = soup(page).select_one('button[name="sentiment"][aria-pressed="true"]')
    assert pressed
    assert "Negative" in pressed.get_text()
    assert "90%" in pressed.get_text()
    link = soup(page).select_one('.post-card a[rel="noopener noreferrer nofollow"]')
    assert link
    assert link["href"] == "https://x.example/post"
    assert happened(desk) == ["opened", "claimed", "noted"]


def test_looking_at_a_case_changes_nothing(desk: Desk) -> None:
    desk.open("acme is awful")
    for address in ("/desk", "/desk/cases/1", "/desk/cases/1?use=1&like=1", "/desk/cases/1?did=dismissed&of=1"):
        assert desk.who("ann").get(address).status == 200
    assert desk.case().version == 0
    assert happened(desk) == ["opened"]


def test_there_is_no_case_with_a_strange_number(desk: Desk) -> None:
    desk.open("acme is awful")
    for number in ("2", "0", "-1", "1e3", "x", "99999999999999999999", "%00", "%D9%A1"):
        assert desk.who("ann").get(f"/desk/cases/{number}").status == 404, number


def test_every_state_is_reached_by_a_button_and_left_by_another(desk: Desk) -> None:
    desk.open("acme is awful")
    for do, fields, state in (
        ("claim", {}, "claimed"),
        ("release", {}, "new"),
        ("assign", {"assignee": "bob"}, "new"),
        ("level", {"level": "urgent"}, "new"),
        ("escalate", {}, "new"),
        ("snooze", {"until": "1h"}, "snoozed"),
        ("claim", {}, "claimed"),
        ("dismiss", {"reason": "spam"}, "dismissed"),
        ("reopen", {}, "reopened"),
        ("by hand", {"text": "Sorry!"}, "replied"),
    ):
        assert desk.press("ann", do, 1, **fields).status == 303, do
        assert desk.case().state == state, do
        assert desk.who("ann").get("/desk/cases/1").status == 200
    assert desk.case().level == "urgent"
    assert desk.case().escalated


def test_what_is_put_away_leads_to_the_next_post_of_the_list(desk: Desk) -> None:
    desk.open("acme is awful", "acme is worse")
    done = desk.press("ann", "dismiss", 1, reason="spam", next="2", query="level=normal")
    assert done.leads == "/desk/cases/2?level=normal&did=dismissed&of=1"
    assert "Dismissed. Case 1" in text(desk.who("ann").get(done.leads))
    assert desk.press("ann", "dismiss", 2, reason="spam").leads == "/desk?did=dismissed&of=2"


def test_a_snoozed_post_comes_back_at_nine_by_the_clocks_of_the_team(folder: Path) -> None:
    desk = start(folder, '[desk]\ntimezone = "Europe/Berlin"')
    try:
        desk.open("acme is awful", "acme is worse", "acme is bad")
        for number, until, hour, day in (
            (1, "tomorrow", 8, 5),
            (2, "monday", 8, 9),
            (3, "2026-03-06T15:30", 15, 6),
        ):  # Wednesday 4 March 2026, when Berlin is an hour ahead
            desk.press("ann", "snooze", number, until=until)
            woken = desk.case(number).snoozed_until
            assert woken
            assert (woken.day, woken.hour) == (day, hour)
        assert desk.queue() == []
        desk.clock.on(DAY)
        assert desk.queue() == [1]
    finally:
        desk.server.stop()


def test_a_stale_claim_shows_who_has_it_and_changes_nothing(desk: Desk) -> None:
    desk.open("acme is awful")
    old = str(desk.case().version)
    desk.press("ann", "claim")
    refused = desk.press("bob", "claim", version=old)
    assert refused.status == 409
    assert "with ann" in text(refused)
    assert "You wanted to claim it" in text(refused)
    assert desk.case().assignee == "ann"
    assert "Do it anyway" not in refused.text
    assert "Take it over" not in refused.text


def test_an_approver_is_offered_to_take_over(desk: Desk) -> None:
    desk.open("acme is awful")
    old = str(desk.case().version)
    desk.press("ann", "claim")
    assert "Take it over from ann" in text(desk.press("lea", "claim", version=old))
    assert desk.press("bob", "take over").status == 403
    assert desk.press("lea", "take over").status == 303
    assert desk.case().assignee == "lea"


def test_a_stale_save_can_be_done_all_the_same_and_loses_nothing(desk: Desk) -> None:
    desk.open("acme is awful")
    old = str(desk.case().version)
    desk.press("ann", "level", level="high")
    refused = desk.press("bob", "dismiss", version=old, reason="spam")
    assert refused.status == 409
    assert desk.case().state == "new"
    assert _again(desk, "bob", refused).status == 303
    assert (desk.case().state, desk.case().dismissed_for, desk.case().level) == ("dismissed", "spam", "high")


def test_a_draft_that_somebody_else_changed_shows_both_texts(desk: Desk) -> None:
    desk.open("acme is awful")
    desk.press("ann", "draft", text="What ann wrote")
    desk.press("ann", "release")
    old = str(desk.replies()[-1].version)
    desk.press("ann", "draft", text="What ann wrote later")
    desk.press("ann", "release")
    refused = desk.press("bob", "draft", text="What bob <b>wrote</b>", reply_version=old)
    assert refused.status == 409
    assert "What ann wrote later" in text(refused)
    assert "What bob <b>wrote</b>" in text(refused)
    assert desk.replies()[-1].text == "What ann wrote later"
    assert _again(desk, "bob", refused).status == 303
    assert desk.replies()[-1].text == "What bob <b>wrote</b>"


def test_what_cannot_be_taken_is_told_and_what_was_written_stays(desk: Desk) -> None:
    desk.open("acme is awful")
    refused = desk.press("ann", "submit", text="A long thought")
    assert refused.status == 400
    assert "A long thought" in text(refused)
    assert desk.replies() == []
    assert desk.case().state == "new"
    for do, fields in (
        ("", {}),
        ("dismiss", {"reason": "bored"}),
        ("snooze", {"until": "yesterday"}),
        ("snooze", {"until": "2020-01-01T00:00"}),
        ("assign", {"assignee": "nobody of ours"}),
        ("assign", {"assignee": "zoe"}),
        ("level", {"level": "huge"}),
        ("correct", {"sentiment": "furious"}),
        ("note", {"text": " "}),
    ):
        assert desk.press("ann", do, 1, **fields).status == 400, (do, fields)
    assert desk.case().version == 0


def test_a_label_is_corrected_with_one_button_and_counts_at_once(desk: Desk) -> None:
    desk.open("acme is awful")
    assert desk.press("ann", "correct", sentiment="positive").leads == "/desk/cases/1?did=corrected"
    assert desk.press("ann", "correct", stage="purchase", pillar="product").status == 303
    match = desk.case().match
    assert (match.sentiment, match.stage, match.reviewed) == ("positive", "purchase", True)
    counted = "SELECT sum(positive), sum(negative), stage FROM buckets WHERE span = '1d' AND positive + negative > 0"
    assert rows(desk.folder / "posts.db", counted) == [(1, 0, "purchase")]
    given = rows(desk.folder / "posts.db", "SELECT reviewer, sentiment, stage, pillar FROM verdicts ORDER BY id DESC")
    assert given[0] == ("ann", None, "purchase", None)  # the pillar was left as it was


def test_a_correction_is_in_the_trail_with_who_made_it_from_what_to_what(desk: Desk) -> None:
    desk.open("acme is awful")
    was = desk.case().match
    desk.press("ann", "correct", sentiment="positive")
    desk.press("bob", "correct", stage="purchase", touchpoint="contact_centre")
    desk.press("bob", "correct", sentiment="positive")  # says nothing new
    said = text(desk.who("vera").get("/desk/cases/1"))
    assert f"ann corrected (sentiment: from {was.sentiment} to positive)" in said
    assert f"stage: from {plain(was.stage or 'not rated')} to purchase" in said
    assert f"touchpoint: from {plain(was.touchpoint or 'not rated')} to contact centre)" in said
    assert happened(desk) == ["opened", "corrected", "corrected"]
    assert desk.case().version == 0  # whoever holds it is not disturbed


def test_not_about_us_is_one_event_of_the_trail_and_taking_it_back_is_another(desk: Desk) -> None:
    desk.open("acme is awful")
    desk.press("ann", "correct", about="0")
    desk.press("bob", "correct", about="1")
    assert happened(desk) == ["opened", "dismissed", "corrected"]
    assert "bob corrected (about us: from no to yes)" in text(desk.who("ann").get("/desk/cases/1"))


def test_not_about_us_counts_nowhere_and_needs_no_answer(desk: Desk) -> None:
    desk.open("acme is awful", "acme is worse")
    done = desk.press("ann", "correct", about="0", next="2")
    assert done.leads == "/desk/cases/2?did=not+about+us&of=1"
    assert (desk.case().state, desk.case().dismissed_for, desk.case().match.about) == (
        "dismissed",
        "not about us",
        False,
    )
    assert desk.queue() == [2]
    page = desk.who("ann").get("/desk/cases/1")
    assert soup(page).select_one('button[name="about"][aria-pressed="true"]')


def test_not_about_us_means_the_same_when_it_is_done_anyway_after_a_conflict(desk: Desk) -> None:
    desk.open("acme is awful")
    desk.press("ann", "level", level="high")
    refused = desk.press("ann", "correct", version="0", about="0")
    assert (refused.status, desk.case().match.about) == (409, True)
    form = BeautifulSoup(refused.text, "html.parser").select_one("form:has(button.primary)")
    assert form
    fields = {str(one["name"]): str(one["value"]) for one in form.select("input") if one["name"] != "csrf"}
    assert desk.who("ann").press("/desk/cases/1", **fields).status == 303
    assert (desk.case().state, desk.case().match.about) == ("dismissed", False)


def test_tags_are_put_on_and_taken_off(desk: Desk) -> None:
    desk.open("acme is awful")
    desk.press("ann", "tag", tag="#Refund  now")
    assert desk.case().tags == ("refund now",)
    desk.press("bob", "untag", tag="refund now")
    assert desk.case().tags == ()
    assert happened(desk) == ["opened", "tagged", "untagged"]


def test_a_heartbeat_keeps_a_claim_and_says_when_it_is_lost(desk: Desk) -> None:
    desk.open("acme is awful")
    desk.press("ann", "claim")
    page = soup(desk.who("ann").get("/desk/cases/1")).select_one("#case")
    assert page
    assert page["data-every"] == "200"
    assert str(page["data-beat"]).endswith("desk/cases/1/beat")
    for _ in range(4):
        desk.clock.on(8 * MINUTE)
        assert desk.who("ann").press("/desk/cases/1/beat").status == 204
    assert desk.press("bob", "claim").status == 409
    desk.press("lea", "take over")
    lost = desk.who("ann").press("/desk/cases/1/beat")
    assert lost.status == 409
    assert "claimed by lea" in lost.text
    assert not soup(desk.who("bob").get("/desk/cases/1")).select("[data-beat]")


def test_a_claim_ends_when_nothing_is_heard_of_its_holder(desk: Desk) -> None:
    desk.open("acme is awful")
    desk.press("ann", "claim")
    desk.clock.on(11 * MINUTE)
    assert desk.press("bob", "claim").status == 303
    assert desk.case().assignee == "bob"


def test_hostile_posts_are_shown_and_harmless(desk: Desk) -> None:
    hostile = '<script>alert(1)</script> <img src=x onerror=alert(1)> "quoted" \u202egnp.exe @everyone acme'
    desk.open(hostile, author='"><script>', url="javascript:alert(1)")
    desk.open("acme " + "long " * 20_000)
    for address in ("/desk", "/desk/cases/1", "/desk/cases/2"):
        page = soup(desk.who("ann").get(address))
        assert not page.select("img[src=x]")
        assert ["/static/desk.js?v=" in str(script["src"]) for script in page.select("script")] == [True]
        assert not [link for link in page.select("a[href]") if str(link["href"]).startswith("javascript:")]
    long = soup(desk.who("ann").get("/desk/cases/2"))
    rest = long.select_one(".post-card details .cut")
    assert rest
    assert len(rest.get_text()) > 90_000


def test_a_post_that_is_gone_says_why_and_is_linked_to_no_more(desk: Desk) -> None:
    desk.open("acme is awful", source="x")
    with desk.store as store, store.transaction():
        store.forgotten.erase_named("x", ["https://social.example/0"], NOW, "deleted")
    page = desk.who("ann").get("/desk/cases/1")
    assert "(deleted on its platform)" in text(page)
    assert "acme is awful" not in page.text
    assert not soup(page).select('.post-card a[href^="https://x.example"]')


def test_keys_are_announced_at_their_controls(desk: Desk) -> None:
    desk.open("acme is awful", "acme is worse", "acme is bad")
    page = soup(desk.who("ann").get("/desk/cases/2"))
    keys = {str(control["aria-keyshortcuts"]) for control in page.select("[aria-keyshortcuts]")}
    assert keys == {"/", "j", "k", "c", "a", "e", "x", "z", "1", "2", "3", "n", "r"}
    for control in page.select("button[aria-keyshortcuts], a[aria-keyshortcuts]"):
        assert control.get_text(strip=True)


def _again(desk: Desk, name: str, refused: Answer) -> Answer:
    """Press "Do it anyway"."""
    form = BeautifulSoup(refused.text, "html.parser").select_one("form:has(button.primary)")
    assert form
    fields = [(str(field["name"]), str(field.get("value", ""))) for field in form.select("input[name]")]
    fields += [(str(area["name"]), area.get_text()) for area in form.select("textarea")]
    return desk.who(name).send("/desk/cases/1", fields)
