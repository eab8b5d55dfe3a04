"""Pictures of the main pages, as docs/tour.md shows them: `pytest tests/test_browser_pictures.py --screenshots`."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from db.cases import Asked
from jobs.desk import acts
from jobs.desk.answer import by_hand
from jobs.desk.similar import similar
from tests import browser_rig
from tests.browser_rig import PHONE, WIDE, World, expect
from tests.support import HOUR, MINUTE, NOW

chromium, demo, world = browser_rig.chromium, browser_rig.demo, browser_rig.shared()[0]

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PAGES = {
    "overview": "/?days=7",
    "journey": "/journey?days=7",
    "experience": "/experience?days=28",
    "compare": "/compare?days=28",
    "desk": "/desk/cases/{case}",
    "posts": "/posts?brand=Norvane&order=negative",
    "alerts": "/alerts",
    "alert": "/alerts/1",
    "label": "/label",
    "care": "/care",
}
# Ends as soon as every picture of the page is there.
DRAWN = """Promise.all([...document.images].map(one => { one.loading = "eager"; return one.complete ||
  new Promise(done => { one.onload = one.onerror = () => done(true); }); })).then(() => true)"""
TALLEST = 1500  # pixels of a picture
LARGEST = 4_000_000  # bytes of all of them
ANSWERS = (
    "We are sorry. The second charge goes back to your card today, and so does what your bank took for it.",
    "That should not have happened. Your refund was booked at 10:40; it is on your card by tomorrow.",
    "Thank you for telling us. The porting code has been sent again, by text and by mail.",
)


@pytest.fixture(scope="module")
def case(world: World) -> int:
    return work(world)


@pytest.fixture(scope="module")
def cookies(world: World, case: int) -> Any:
    return world.logged_in("lea").context.storage_state()


def work(world: World) -> int:
    """Let a team work for twenty minutes; returns the case that lies open in the picture of the desk."""
    ann, bob, lea = (world.person(name, "approver") for name in ("ann", "bob", "lea"))
    with world.store() as store, store.transaction():
        queue = [one.id for one in store.cases.queue(Asked(), NOW, 60)]
        rest = iter(queue[8:])
        for number in range(23):
            who, one = (ann, bob, lea)[number % 3], next(rest)
            acts.claim(store, one, who, NOW + number * MINUTE / 2, lease=HOUR)
            text = ANSWERS[number % len(ANSWERS)]
            by_hand(store, one, who, NOW + (number / 2 + 2 + number % 5) * MINUTE, text=text)
        for number, reason in enumerate(("spam", "duplicate", "no answer needed", "duplicate")):
            acts.dismiss(store, next(rest), bob, NOW + (8 + number) * MINUTE, reason=reason)
        for hours in (2, 4, 20):
            acts.snooze(store, next(rest), ann, NOW + 15 * MINUTE, until=NOW + timedelta(hours=hours))
        cases = [found for found in map(store.cases.get, queue[:8]) if found]
        shown, *others = sorted(cases, key=lambda one: -len(similar(store, one, lea)))
        said = "Billing says the double run is stopped, refunds go out at 14:00."
        acts.note(store, shown.id, bob, NOW + 3 * MINUTE, text=said)
        acts.tag(store, shown.id, bob, NOW + 3 * MINUTE, tag="double charge")
        acts.claim(store, shown.id, lea, NOW + 17 * MINUTE, lease=HOUR)
        acts.claim(store, others[0].id, ann, NOW + 16 * MINUTE, lease=HOUR)
        acts.tag(store, others[1].id, ann, NOW + 9 * MINUTE, tag="press")
        acts.escalate(store, others[1].id, ann, NOW + 9 * MINUTE, to="lea")
        acts.assign(store, others[2].id, lea, NOW + 10 * MINUTE, to="bob")
    world.now = NOW + 20 * MINUTE
    return shown.id


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_the_main_pages_can_be_shown(
    world: World, cookies: Any, case: int, look: str, pytestconfig: pytest.Config
) -> None:
    size = PHONE if look == "phone" else WIDE
    page = world.page(storage_state=cookies, size=size, dark=look == "dark")
    for name, path in PAGES.items():
        if look == "phone" and name not in ("overview", "desk"):
            continue
        page.goto(f"{world.url}{path.format(case=case)}")
        expect(page.locator("h1:visible").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == size[0], name
        if name == "desk":
            page.get_by_label("Your reply").fill(
                "We are sorry. Both charges go back today, and so does your bank's fee."
            )
        page.evaluate(DRAWN)
        page.evaluate("scrollTo(0, 0)")
        tall = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
        image = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": size[0], "height": tall})
        assert image.startswith(b"\x89PNG"), name
        assert len(image) > 20_000, name  # a blank page of this size takes 7 kB
        if pytestconfig.getoption("--screenshots"):
            IMAGES.mkdir(exist_ok=True)
            (IMAGES / f"{name}-{look}.png").write_bytes(image)


def test_the_pictures_of_the_tour_are_there_and_small() -> None:
    tour = (IMAGES.parent / "tour.md").read_text(encoding="utf-8")
    kept = {path.name for path in IMAGES.glob("*.png")}
    assert {f"{name}-light.png" for name in PAGES} <= kept
    assert all(f"images/{name}" in tour for name in kept), "docs/tour.md shows each of them"
    assert sum(path.stat().st_size for path in IMAGES.glob("*.png")) < LARGEST
