"""The pages of trends: what is first to be seen, and that every number opens as many posts as it says."""

import re
from html import unescape

import pytest

from db.desk import Session, User
from db.records import Alert, Mention
from db.store import Store
from db.tokens import hashed
from tests.cli_rig import NOW
from tests.support import DAY, HOUR, judge, keep, mention
from tests.trends_rig import count, empty, fresh, marks, numbers, page, site  # noqa: F401
from tests.web_rig import SPIKE, Rig

PAGES = ("/", "/journey", "/experience", "/compare", "/compare?by=source", "/compare?by=period")


@pytest.mark.parametrize("path", PAGES)
def test_every_number_opens_as_many_posts_as_it_says(site: Rig, path: str) -> None:  # noqa: F811
    said = numbers(page(site, path), path)
    assert len(said) > 5
    chosen = dict(list(said.items())[:: 1 if path == "/" else 6])
    assert {address: count(site, address) for address in chosen} == chosen


def test_numbers_of_a_narrow_question_open_its_posts_too(site: Rig) -> None:  # noqa: F811
    path = "/?since=2026-02-20&until=2026-02-27T06&brand=Acme&source=reddit&stage=use&against=year"
    said = numbers(page(site, path), path)
    chosen = dict(list(said.items())[::3])
    assert {address: count(site, address) for address in chosen} == chosen
    assert all("source=reddit" in address for address in said)


@pytest.mark.parametrize(
    ("path", "least"), [("/?days=7", 7), ("/?days=2&step=hour", 8), ("/journey", 2), ("/compare", 3)]
)
def test_every_mark_of_a_chart_opens_as_many_posts_as_it_says(site: Rig, path: str, least: int) -> None:  # noqa: F811
    said = marks(page(site, path), path)
    assert len(said) >= least
    chosen = dict(list(said.items())[:10])
    assert {address: count(site, address) for address in chosen} == chosen


def test_the_first_page_says_how_people_feel_what_waits_and_what_alerts_are_open(fresh: Rig) -> None:  # noqa: F811
    with Store(fresh.folder / "posts.db") as store, store.transaction():
        store.alerts.save(SPIKE, ())
    found = page(fresh, "/")
    tiles = {str(tile.dt.string): tile.dd.get_text(" ", strip=True) for tile in found.select(".strip .stat")}  # type: ignore[union-attr]
    assert list(tiles) == [
        "Net sentiment",
        "Posts",
        "Share of voice",
        "Waiting for an answer",
        "Open alerts",
        "Coverage",
    ]
    assert tiles["Net sentiment"].startswith("−0.")
    assert tiles["Share of voice"].startswith("67")
    assert "negative spike" in tiles["Open alerts"]
    assert "not known" in tiles["Coverage"]
    assert found.select_one('figure svg a[href$="alerts/1"]')
    assert "checkout" in " ".join(term.get_text() for term in found.select(".terms a"))


def test_net_sentiment_is_told_with_its_formula_and_its_n(site: Rig) -> None:  # noqa: F811
    found = page(site, "/?brand=Acme&days=7")
    tile = found.select(".strip .stat")[0]
    link = tile.select_one("a[data-posts]")
    told = tile.details.get_text(" ", strip=True)  # type: ignore[union-attr]
    numbers_told = re.search(r"\((\d+) − (\d+)\) / (\d+),", told)
    assert link
    assert numbers_told
    positive, negative, rated = map(int, numbers_told.groups())
    assert int(str(link["data-posts"])) == rated
    assert link.get_text() == f"{(positive - negative) / rated:+.2f}".replace("-", "−")
    assert count(site, "/posts?brand=Acme&sentiment=positive&since=2026-02-26") == positive


@pytest.mark.parametrize(("path", "ranges"), [("/", 1), ("/journey", 1), ("/experience", 2)])
def test_every_net_sentiment_of_a_part_has_its_range_however_many_posts_it_has(
    site: Rig,  # noqa: F811
    path: str,
    ranges: int,
) -> None:
    table = page(site, f"{path}?since=2025-12-01").select("table.bars")[0]
    told = [row for row in table.select("tbody tr") if row.select(".net")]
    assert max(int(str(link["data-posts"])) for link in table.select("a[data-posts]")) > 150
    assert told
    assert [len(row.select(".range")) for row in told] == [ranges] * len(told)


def test_what_counts_a_post_for_each_of_its_brands_is_called_mentions(site: Rig) -> None:  # noqa: F811
    voice = page(site, "/").select(".strip .stat")[2].get_text(" ", strip=True)
    assert re.search(r"of [\d,]+ mentions of us and competitors", voice)
    assert "A post that names two brands is a mention of each" in voice


def test_parts_that_move_net_sentiment_are_named_with_what_they_did(site: Rig) -> None:  # noqa: F811
    moves = [move.get_text(" ", strip=True) for move in page(site, "/?days=14&brand=Acme").select(".moves li")]
    assert any("Process" in move and move.startswith("−") for move in moves)


def test_what_is_not_compared_has_no_change(site: Rig) -> None:  # noqa: F811
    found = page(site, "/?against=nothing")
    assert not found.select(".moves, .delta")


@pytest.mark.parametrize("path", [*PAGES, "/posts"])
def test_before_there_is_a_post_every_page_says_what_to_do(empty: Rig, path: str) -> None:  # noqa: F811
    assert page(empty, path).select_one(".empty h2")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("days=soon", "days: 'soon' is no number of days"),
        ("since=2026-03-03&until=2026-03-01", "until: 2026-03-01 is not after since"),
        ("to=2026-03-01", "from: a span that ends needs a beginning"),
        ("step=minute", "step: there is no 'minute'"),
        ("against=us", "against: there is no 'us'"),
        ("by=colour", "there is no such by; take one of brand, source, period"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_what_to_choose(site: Rig, asked: str, why: str) -> None:  # noqa: F811
    answer = site.get(f"/compare?{asked}")
    assert answer.status == 400
    assert why in unescape(answer.text)


@pytest.mark.parametrize(
    "path", ["/", "/journey", "/experience", "/compare", "/charts/timeline.csv", "/charts/compare.csv"]
)
@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("brand=Nope", "brand=Nope in the address: there is no such brand; take one of Acme, Beta, Rival"),
        ("brand=Acme&source=zzz", "source=zzz in the address: there is no such source; take one of reddit, x"),
        ("stage=nirvana", "stage: there is no 'nirvana'; choose one of awareness"),
        ("colour=red", "colour=red in the address: this page takes no such thing; it takes brand, source, stage, days"),
    ],
)
def test_what_there_is_not_is_refused_rather_than_another_question_answered(
    site: Rig,  # noqa: F811
    path: str,
    asked: str,
    why: str,
) -> None:
    answer = site.get(f"{path}?{asked}")
    assert (answer.status, answer.text.count("\n")) == (400, 1)
    assert answer.text.startswith(why)


def test_a_kept_link_to_a_source_or_a_brand_that_the_store_remembers_goes_on(fresh: Rig) -> None:  # noqa: F811
    for asked in ("source=youtube", "brand=Former"):
        assert fresh.get(f"/?{asked}").status == 400
    with Store(fresh.folder / "posts.db") as store:
        with store.transaction():
            store.sources.known("videos", "youtube")  # was configured once, and found nothing
        keep(store, mention("old", "awful", NOW - HOUR, "bluesky"), brands=("Former",))
        judge(store)
    for asked in ("source=youtube", "source=bluesky", "brand=Former", "brand=Former&source=youtube"):
        for path in ("/", "/journey", "/experience", "/compare", "/posts", "/charts/brands.csv"):
            assert fresh.get(f"{path}?{asked}").status == 200, (path, asked)


def test_who_was_given_a_brand_that_is_nowhere_any_more_can_follow_the_links_of_the_page(fresh: Rig) -> None:  # noqa: F811
    with Store(fresh.folder / "posts.db") as store, store.transaction():
        gus = store.users.add(User(0, "gus", "viewer", ("Gone",)), None, NOW)
        store.sessions.add(Session(hashed("guss"), gus.id, NOW, NOW, NOW + DAY))
    theirs = Rig(fresh.folder, fresh.url, "sentimon_session=guss")
    links = {str(link["href"]) for link in page(theirs, "/").select("a.span, a[href*='.csv'], .tabs a")}
    assert len(links) > 3
    assert {theirs.get("/" + link.removeprefix("./")).status for link in links} == {200}
    assert theirs.get("/?brand=Acme").status == 400


def test_the_last_day_of_the_form_is_in_the_span(site: Rig) -> None:  # noqa: F811
    found = page(site, "/?since=2026-02-20&to=2026-02-26")
    assert found.h1
    assert "20 Feb 2026 to 26 Feb 2026" in found.h1.get_text()
    assert found.select_one('input[name="to"][value="2026-02-26"]')


def test_a_link_with_fixed_dates_asks_the_same_when_time_has_gone_on(site: Rig) -> None:  # noqa: F811
    kept = str(page(site, "/?days=7&brand=Beta").select_one("a[data-copy]")["href"]).partition("#")[0]  # type: ignore[index]
    assert "since=2026-02-26&until=2026-03-05&brand=Beta" in kept
    again = page(site, "/" + kept.removeprefix("./"))
    first = page(site, "/?days=7&brand=Beta")
    assert numbers(again, "/") == numbers(first, "/")


def test_names_and_words_of_strangers_stay_text(fresh: Rig) -> None:  # noqa: F811
    bad = "<script>alert(1)</script>"
    with Store(fresh.folder / "posts.db") as store:
        keep(store, *(_bad(number, bad) for number in range(40)), brands=("Acme", bad))
        judge(store)
    for path in (*PAGES, f"/?brand={bad}", f"/compare?brand={bad}"):
        answer = fresh.get(path)
        assert answer.status == 200
        assert "<script>alert" not in answer.text


def _bad(number: int, bad: str) -> Mention:
    return mention(f"bad{number}", f"awful acme {bad} {number}", NOW - number * HOUR, bad, author=bad)


def test_an_alert_and_a_gap_are_marked_on_the_timeline(fresh: Rig) -> None:  # noqa: F811
    from dataclasses import replace

    alert: Alert = replace(SPIKE, starts=NOW - 2 * DAY, last_seen=NOW - DAY, ends=NOW - DAY)
    with Store(fresh.folder / "posts.db") as store, store.transaction():
        store.alerts.save(alert, ())
    found = page(fresh, "/?days=7")
    assert found.select_one('figure svg a[href$="alerts/1"]')
    assert "nothing out of the ordinary" in found.select(".strip .stat")[4].get_text()
