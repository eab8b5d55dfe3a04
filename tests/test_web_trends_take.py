"""What can be taken away: the numbers of a chart as files, its picture, and a link that keeps the question."""

import csv
import http.client
import io
import json
from urllib.parse import quote, urlsplit

import pytest

from db.store import Store
from tests.cli_rig import NOW
from tests.support import HOUR, judge, keep, mention
from tests.trends_rig import count, empty, fresh, page, site  # noqa: F401
from tests.web_rig import Rig

CHARTS = ("timeline", "journey", "brands", "changes", "pillars", "matrix", "service", "compare")


def fetch(site: Rig, path: str) -> tuple[int, str, bytes]:  # noqa: F811
    """Fetch a file: status, type, bytes."""
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.headers["Content-Type"], answer.read()
    connection.close()
    return found


def rows_of(site: Rig, path: str) -> list[dict[str, str]]:  # noqa: F811
    status, _, body = fetch(site, path)
    assert status == 200
    assert body.startswith(b"\xef\xbb\xbf"), "spreadsheets know UTF-8 by its mark"
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_can_be_taken_away_as_numbers_and_as_a_picture(site: Rig, name: str) -> None:  # noqa: F811
    table = rows_of(site, f"/charts/{name}.csv?days=14")
    told = json.loads(fetch(site, f"/charts/{name}.json?days=14")[2])
    assert table
    assert [list(row) for row in told["rows"]] == [list(row) for row in table]
    assert told["since"] == "2026-02-19T00:00:00Z"
    assert "(positive - negative) / (positive + negative + neutral)" in told["formula"]
    status, kind, body = fetch(site, f"/charts/{name}.svg?days=14")
    assert (status, kind.partition(";")[0]) == (200, "image/svg+xml")
    assert body.startswith(b"<svg")
    assert b"/posts?" not in body


def test_a_picture_is_a_png(site: Rig) -> None:  # noqa: F811
    status, kind, body = fetch(site, "/charts/timeline.png?days=7")
    assert (status, kind) == (200, "image/png")
    assert body.startswith(b"\x89PNG")


def test_files_have_the_numbers_that_the_pages_show(site: Rig) -> None:  # noqa: F811
    stages = {row["name"]: row for row in rows_of(site, "/charts/journey.csv?brand=Acme")}
    assert int(stages["use"]["mentions"]) == count(site, "/posts?brand=Acme&stage=use&since=2026-02-05")
    steps = rows_of(site, "/charts/timeline.csv?brand=Acme&days=3&step=day")
    shown = page(site, "/?brand=Acme&days=3&step=day").select("details.data tbody")[0].select("tr")
    assert [row["mentions"] for row in steps] == [str(line.select("td")[1].string) for line in shown]


def test_every_link_of_the_pages_to_a_file_works(site: Rig) -> None:  # noqa: F811
    for path in ("/?days=7&brand=Beta", "/experience?source=x", "/compare?by=source"):
        links = [str(link["href"]) for link in page(site, path).select("a[download]")]
        assert len(links) >= 4
        for link in links:
            if not link.partition("?")[0].endswith(".png"):
                assert fetch(site, "/" + link.removeprefix("./"))[0] == 200


def test_a_name_that_a_spreadsheet_would_run_is_defused(fresh: Rig) -> None:  # noqa: F811
    bad = '=HYPERLINK("http://evil.example")'
    with Store(fresh.folder / "posts.db") as store:
        keep(store, mention("bad", "awful", NOW - HOUR), brands=(bad,))
        judge(store)
    told = rows_of(fresh, f"/charts/compare.csv?by=brand&brand={quote(bad)}")
    assert [row["name"] for row in told] == [f"'{bad}"]


@pytest.mark.parametrize("path", ["/charts/nothing.csv", "/charts/timeline.exe", "/charts/timeline"])
def test_what_is_no_chart_is_not_found(site: Rig, path: str) -> None:  # noqa: F811
    assert fetch(site, path)[0] == 404


def test_a_question_without_posts_can_be_taken_away_too(empty: Rig) -> None:  # noqa: F811
    for name in CHARTS:
        for kind in ("csv", "json", "svg"):
            assert fetch(empty, f"/charts/{name}.{kind}")[0] == 200
