"""Trends in a real browser: every number and mark opens its posts, the question stays in the address, numbers leave."""

import csv
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from monitor.web.trends.words import signed
from tests import browser_rig
from tests.browser_rig import WIDE, World, expect

chromium, demo = browser_rig.chromium, browser_rig.demo
world, cookies = browser_rig.shared(vera="viewer", ann="responder")


@pytest.fixture
def page(world: World, cookies: Any) -> Iterator[Page]:
    made = world.page(storage_state=cookies)
    yield made
    made.context.close()


def listed(page: Page) -> int:
    """Count the posts that /posts lists, page by page; its heading says the same."""
    expect(page).to_have_url(re.compile("/posts"))
    said = int(re.sub(r"\D", "", re.findall(r"[\d,]+", page.locator("h1").inner_text())[0]))
    found = page.locator("li.item").count()
    while (more := page.locator("a[rel=next]")).count():
        more.click()
        found += page.locator("li.item").count()
    assert found == said
    return found


def leads(page: Page, mark: Locator, count: int) -> None:
    """Press what stands for a number of posts: as many are shown."""
    here = page.url
    mark.click()
    assert listed(page) == count, mark
    page.goto(here)


def marks(page: Page) -> Locator:
    return page.locator("#timeline .wide-only a[href*='posts?']")


def test_a_mark_of_the_timeline_opens_its_posts(world: World, page: Page) -> None:
    page.goto(f"{world.url}/?days=7")
    expect(marks(page)).to_have_count(7)
    for number in (0, 6):
        said = marks(page).nth(number).get_attribute("aria-label") or ""
        leads(page, marks(page).nth(number), int(re.findall(r": (\d+) mentions", said)[0]))


def test_a_number_of_the_journey_opens_its_posts(world: World, page: Page) -> None:
    page.goto(f"{world.url}/journey")
    row = page.locator("table.stages tbody tr", has=page.get_by_role("rowheader", name="Cultivation"))
    for number in row.locator("a.number").all():
        leads(page, number, int(number.get_attribute("data-posts") or ""))


def test_a_cell_of_the_matrix_opens_its_posts(world: World, page: Page) -> None:
    page.goto(f"{world.url}/experience")
    row = page.locator("table.matrix tbody tr", has=page.get_by_role("rowheader", name="Digital"))
    cells = row.locator("a[data-posts]")
    assert cells.count() == 4
    for cell in cells.all()[:2]:
        leads(page, cell, int(cell.get_attribute("data-posts") or ""))


def test_a_brand_beside_others_opens_its_posts(world: World, page: Page) -> None:
    page.goto(f"{world.url}/compare?days=7")
    number = page.locator("table.sides a.number").first
    leads(page, number, int(number.get_attribute("data-posts") or ""))


def test_the_mark_of_an_alert_leads_to_it(world: World, page: Page) -> None:
    page.goto(f"{world.url}/?days=7")
    page.locator("#timeline .wide-only a[href*='alerts/']").last.click()
    expect(page.locator("h1")).to_have_text("Norvane: negative spike")


def test_the_first_page_counts_alerts_as_their_page_does(world: World, page: Page) -> None:
    page.goto(f"{world.url}/alerts")
    listed = page.locator("article.one").count()
    assert listed > 0
    page.goto(f"{world.url}/")
    expect(page.locator(".strip .stat", has_text="Open alerts").locator(".value")).to_have_text(str(listed))


def test_what_is_asked_stands_in_the_address_for_others_too(world: World, page: Page) -> None:
    page.goto(f"{world.url}/")
    page.get_by_role("link", name="7 days").click()
    page.get_by_text("Brands, sources, dates").click()
    page.get_by_role("checkbox", name="Norvane").uncheck()
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("days=7.*brand=Brightkettle"))
    page.get_by_role("link", name=re.compile("breaks")).click()
    expect(page).to_have_url(re.compile("journey.*days=7.*brand=Brightkettle"))
    expect(page.locator(".about")).to_contain_text("Brightkettle")
    expect(page.locator(".about")).not_to_contain_text("Norvane")
    other = world.logged_in("ann")
    other.goto(page.url)
    assert other.locator("main").inner_text() == page.locator("main").inner_text()


def test_the_numbers_of_a_chart_can_be_taken_away(world: World, page: Page) -> None:
    page.goto(f"{world.url}/?days=7")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of Net sentiment and posts over time").click()
    rows = list(csv.reader(download.value.path().read_text(encoding="utf-8-sig").splitlines()))
    table = page.locator("details.data", has=page.locator("caption", has_text="Net sentiment and posts over time"))
    table.locator("summary").click()
    shown = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
    assert len(shown) == 7
    assert [row[0] for row in rows[1:]] == [row[0] for row in shown]
    mentions = rows[0].index("mentions")
    assert [row[mentions] for row in rows[1:]] == [row[mentions] for row in shown]
    net = rows[0].index("net_sentiment")
    assert [signed(float(row[net])) for row in rows[1:]] == [row[net] for row in shown]
    total = page.locator(".strip .stat", has_text="Posts").locator("a.number").first
    assert sum(int(row[mentions]) for row in rows[1:]) == int(total.get_attribute("data-posts") or "")


def test_pictures_of_a_chart_can_be_taken_away(world: World, page: Page) -> None:
    page.goto(f"{world.url}/journey")
    for kind, head in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("JSON", b"{")):
        with page.expect_download() as download:
            page.get_by_role("link", name=f"{kind} of The journey").first.click()
        assert download.value.path().read_bytes().startswith(head), kind


def test_everything_is_reached_without_scripts(world: World, cookies: Any) -> None:
    page = world.page(storage_state=cookies, scripts=False)
    page.goto(f"{world.url}/")
    page.get_by_role("link", name="7 days").click()
    page.get_by_text("Brands, sources, dates").click()
    page.get_by_role("checkbox", name="Brightkettle").uncheck()
    page.get_by_label("Steps").select_option("day")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("days=7&brand=Norvane.*step=day"))
    expect(marks(page)).to_have_count(7)
    marks(page).last.click()
    expect(page).to_have_url(re.compile("/posts"))
    for name, title in (("Journey", "Journey"), ("Desk", "Desk"), ("Alerts", "Alerts"), ("Care", "Care")):
        page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        expect(page.locator("h1").first).to_contain_text(title)
    page.goto(f"{world.url}/journey")
    for name in ("People, process, product", "Compare"):
        page.get_by_role("navigation", name="Ways to look").get_by_role("link", name=name).click()
        expect(page.locator("h1")).to_contain_text(name)
        current = page.get_by_role("navigation", name="Main").locator("[aria-current]")
        expect(current).to_have_text("Journey")
    page.get_by_text("How is this counted?").first.click()
    expect(page.locator("details.counted").first).to_have_attribute("open", "")


def test_marks_are_reached_with_the_keyboard(world: World, page: Page) -> None:
    page.goto(f"{world.url}/?days=7")
    marks(page).first.focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/posts"))


def test_a_phone_gets_charts_of_its_own(world: World, cookies: Any) -> None:
    page = world.page(size=(360, 780), storage_state=cookies)
    for path in ("/", "/journey", "/experience", "/compare"):
        page.goto(f"{world.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") == 360, path
    expect(page.locator(".narrow-only svg").first).to_be_visible()
    expect(page.locator(".wide-only svg").first).to_be_hidden()
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    expect(page.locator(".wide-only svg").first).to_be_visible()
