"""The daily sample: the same for everybody, no answer of the model before a person's, and how good the model is."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from db.desk import User
from db.filters import Filter
from db.records import Registered, Verdict
from db.store import Store
from monitor.web.label import DAILY
from tests.case_rig import SITE, log_in, pages, token_of
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention, rows

ANN, BEN = User(0, "ann", "responder"), User(0, "ben", "responder")
TEXTS = ("awful acme", "love acme", "acme is fine")


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store(folder / "posts.db") as store:
        yield store


def fill(store: Store, count: int, brand: str = "Acme", first: int = 0) -> None:
    """Posts that were read yesterday and judged."""
    at = NOW - DAY
    posts = [
        mention(f"{brand} {first + n}", f"{TEXTS[n % 3]} {first + n}", at, collected_at=at, author=f"a {n}")
        for n in range(count)
    ]
    keep(store, *posts, brands=(brand,))
    judge(store)


def shown(page: str) -> int:
    """The match that a page asks about, 0 where it asks about none."""
    return int(page.partition('name="match" value="')[2].partition('"')[0] or 0)


def say(client: TestClient, page: str, **fields: str) -> str:
    """Send the form of a page, and return the page that follows."""
    given = {"csrf": token_of(page), "match": str(shown(page)), "do": "save"} | fields
    answered = client.post("/label", data=given)
    assert answered.status_code == 303, answered.text
    return client.get("/" + answered.headers["location"].removeprefix("./")).text


def test_the_models_answer_is_shown_only_after_a_persons(store: Store, folder: Path) -> None:
    fill(store, 1)
    with pages(folder, SITE, user=ANN) as client:
        page = client.get("/label").text
        assert "awful acme 0" in page
        for clue in ("checked", "90%", "the model</th>", "badge negative"):
            assert clue not in page, clue
        after = say(client, page, sentiment="neutral", stage="purchase")
    assert "The model said otherwise" in after
    assert "90%" in after
    assert rows(folder / "posts.db", "SELECT reviewer, sentiment, stage, reply, random, about FROM verdicts") == [
        ("ann", "neutral", "purchase", None, 1, 1)
    ]


def test_everybody_judges_the_same_posts_and_none_twice(store: Store, folder: Path) -> None:
    fill(store, 60)
    seen = []
    with pages(folder, SITE, user=ANN) as client:
        page = client.get("/label").text
        for turn in range(DAILY):
            seen.append(shown(page))
            if turn % 2:
                log_in(folder, client, BEN)
                page = client.get("/label").text
                assert shown(page) == seen[-1]
            page = say(client, page, sentiment="neutral")
        assert "All 10 of today are judged" in page
    assert len(set(seen)) == DAILY
    assert {who for (who,) in rows(folder / "posts.db", "SELECT reviewer FROM verdicts")} == {"ann", "ben"}
    with pages(folder, SITE, now=NOW + DAY, user=User(0, "cleo", "responder")) as client:
        tomorrow = shown(client.get("/label").text)
    assert tomorrow
    assert tomorrow not in seen


def test_a_day_draws_the_same_again_whoever_has_judged_what(store: Store) -> None:
    fill(store, 200)
    day = NOW.replace(hour=0)
    drawn = store.verdicts.daily(DAILY, ("Acme",), day)
    with store.transaction():
        store.verdicts.give([Verdict(drawn[3], "ann", NOW, {"sentiment": "neutral"}, random=True)])
    assert store.verdicts.daily(DAILY, ("Acme",), day) == drawn
    keep(store, mention("new", at=NOW, collected_at=NOW))
    judge(store)
    assert store.verdicts.daily(DAILY, ("Acme",), day) == drawn
    assert drawn[3] not in store.verdicts.daily(100, ("Acme",), day + DAY)
    assert store.verdicts.daily(DAILY, ("Acme",), day + DAY) != drawn


def test_what_is_said_elsewhere_takes_no_post_into_or_out_of_the_sample(store: Store) -> None:
    fill(store, 30)
    keep(store, mention("mute", "123 456", NOW - DAY, collected_at=NOW - DAY), mention("off", "acme", NOW - DAY))
    judge(store)
    mute, off = (store.mentions.named("x", key, "Acme") for key in ("mute", "off"))
    assert mute is not None
    assert off is not None
    with store.transaction():
        store.rematching.hide([off.id], True)
    day = NOW.replace(hour=0)
    drawn = store.verdicts.daily(99, ("Acme",), day)
    assert len(drawn) == 30
    wrong = Verdict(drawn[0], "ann", NOW - 20 * HOUR, {"sentiment": "positive"})  # corrected on the desk, yesterday
    today = [Verdict(number, "ann", NOW, {"sentiment": "positive"}) for number in (mute.id, off.id, drawn[1])]
    with store.transaction():
        store.verdicts.give([wrong, *today])
    assert store.verdicts.daily(99, ("Acme",), day) == drawn
    assert [verdict for _, _, verdict in store.verdicts.drawn(drawn[:2])] == [None, None]
    with store.transaction():
        store.verdicts.give([replace(wrong, at=NOW, random=True)])
    assert [verdict and verdict.random for _, _, verdict in store.verdicts.drawn(drawn[:2])] == [True, None]


def test_what_is_said_of_a_post_that_was_drawn_leaves_the_teams_corrections_and_holds_none_of_them(
    store: Store, folder: Path
) -> None:
    fill(store, 1)
    (drawn,) = store.mentions.every(Filter())
    corrected = {"sentiment": "neutral", "stage": "purchase", "pillar": "people"}
    with store.transaction():  # in sight of the model's answers
        store.verdicts.give([Verdict(drawn.id, "ann", NOW - HOUR, corrected)])
    with pages(folder, SITE, user=BEN) as client:
        after = say(client, client.get("/label").text, sentiment="positive")
    assert "purchase" not in after.partition('class="compared"')[2].partition("</table>")[0]
    (match,) = store.mentions.every(Filter())
    assert (match.sentiment, match.stage, match.pillar) == ("positive", "purchase", "people")
    ((_, measured),) = store.verdicts.all(random_only=True)
    assert (measured.reviewer, measured.labels) == ("ben", {"sentiment": "positive"})
    assert [store.verdicts.agreement(question, ("Acme",))[1] for question in ("sentiment", "stage")] == [1, 0]
    with store.transaction():  # somebody else's word on another question, later
        store.verdicts.give([Verdict(drawn.id, "cleo", NOW + HOUR, {"sentiment": "positive", "reply": "yes"})])
    (match,) = store.mentions.every(Filter())
    assert (match.stage, match.pillar, match.reply) == ("purchase", "people", "yes")


def test_on_the_first_day_posts_of_that_day_are_judged(store: Store, folder: Path) -> None:
    keep(store, *(mention(f"first {n}", at=NOW, collected_at=NOW) for n in range(12)))
    judge(store)
    assert not store.verdicts.daily(DAILY, ("Acme",), NOW.replace(hour=0))
    with pages(folder, SITE, now=NOW + MINUTE, user=ANN) as client:
        assert "of 10 judged today" in client.get("/label").text
        keep(store, *(mention(f"more {n}", at=NOW, collected_at=NOW) for n in range(30)))
        judge(store)
        for _ in range(DAILY):
            page = say(client, client.get("/label").text, sentiment="neutral")
        assert "All 10 of today are judged" in page


def test_a_sample_has_every_kind_of_post_in_its_share(store: Store) -> None:
    fill(store, 300)
    drawn = [n for day in range(30) for n in store.verdicts.daily(DAILY, ("Acme",), NOW + day * DAY)]
    found = {match.id: match.sentiment for match in store.mentions.every(Filter())}
    negative = sum(found[number] == "negative" for number in drawn)
    assert 0.2 < negative / len(drawn) < 0.47  # of 300 a third is expected: 4 standard errors each way
    assert len(set(drawn)) > 150


def test_what_is_gone_competing_or_not_ours_is_not_drawn(store: Store, folder: Path) -> None:
    fill(store, 3)
    fill(store, 3, "Bolt")
    with store.transaction():
        store.forgotten.erase_named("x", ["Acme 1"], NOW, "deleted")
    rival = '[[brands]]\nname = "Bolt"\nquery = "bolt"\nrole = "competitor"'
    with pages(folder, rival, SITE, user=ANN) as client:
        assert "of 2 judged" in client.get("/label").text
    elsewhere = User(0, "few", "responder", brands=("Other",))
    with pages(folder, SITE, user=elsewhere) as client:
        assert "Nothing to judge today" in client.get("/label").text


def test_not_about_us_counts_nowhere_and_can_be_changed(store: Store, folder: Path) -> None:
    fill(store, 2)
    with pages(folder, SITE, user=ANN) as client:
        page = client.get("/label").text
        first = shown(page)
        after = say(client, page, do="other")
        assert "not about" in after
        assert rows(folder / "posts.db", "SELECT about FROM matches WHERE id = ?", first) == [(0,)]
        again = client.get(f"/label?match={first}").text
        assert shown(again) == first
        say(client, again, sentiment="positive")
    assert rows(folder / "posts.db", "SELECT about, sentiment FROM matches WHERE id = ?", first) == [(1, "positive")]
    assert rows(folder / "posts.db", "SELECT count(*) FROM verdicts") == [(2,)]


def test_skipped_posts_come_back(store: Store, folder: Path) -> None:
    fill(store, 2)
    with pages(folder, SITE, user=ANN) as client:
        first = shown(client.get("/label").text)
        second = client.get(f"/label?skip={first}").text
        assert shown(second) not in (0, first)
        answered = client.post(
            f"/label?skip={first}",
            data={"csrf": token_of(second), "match": str(shown(second)), "sentiment": "neutral", "do": "save"},
        )
        assert f"skip={first}" in answered.headers["location"]
        assert "Nothing is left but what you skipped" in client.get("/" + answered.headers["location"]).text
        assert shown(client.get("/label").text) == first


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"sentiment": ""}, 422),
        ({"stage": "use"}, 422),
        ({"sentiment": "furious"}, 422),
        ({"sentiment": "neutral", "stage": "nowhere"}, 422),
        ({"sentiment": "neutral", "match": "999"}, 404),
        ({"sentiment": "neutral", "match": "x"}, 404),
        ({"sentiment": "neutral", "csrf": "wrong"}, 403),
    ],
)
def test_what_cannot_be_meant_is_said_and_nothing_stored(
    store: Store, folder: Path, fields: dict[str, str], status: int
) -> None:
    fill(store, 1)
    with pages(folder, SITE, user=ANN) as client:
        page = client.get("/label").text
        given = {"csrf": token_of(page), "match": str(shown(page)), "do": "save"} | fields
        assert client.post("/label", data=given).status_code == status
    assert rows(folder / "posts.db", "SELECT count(*) FROM verdicts") == [(0,)]


def test_only_posts_of_the_sample_are_judged_as_drawn_at_random(store: Store, folder: Path) -> None:
    fill(store, 40)
    with pages(folder, SITE, user=ANN) as client:
        page = client.get("/label").text
        day = NOW.replace(hour=0)
        other = next(n for n in range(1, 41) if n not in store.verdicts.daily(DAILY, ("Acme",), day))
        given = {"csrf": token_of(page), "match": str(other), "sentiment": "neutral", "do": "save"}
        assert client.post("/label", data=given).status_code == 404


def test_accuracy_names_n_its_interval_and_what_more_posts_would_bring(store: Store, folder: Path) -> None:
    fill(store, 60)
    with pages(folder, SITE, user=ANN) as client:
        assert "Judge 10 more, and the first figure is shown here" in client.get("/label").text
        matches = list(store.mentions.every(Filter()))[:40]
        with store.transaction():
            store.verdicts.give(
                [
                    Verdict(m.id, "ann", NOW, {"sentiment": m.sentiment or "" if n >= 8 else "positive"}, random=True)
                    for n, m in enumerate([m for m in matches if m.sentiment != "positive"])
                ]
            )
        agreed, judged = store.verdicts.agreement("sentiment", ("Acme",))
        page = " ".join(client.get("/label").text.split())
        assert f"n = {judged}" in page
        assert f"{agreed / judged:.0%}" in page
        assert "40 more posts would make that about ±11 points" in page
        with store.transaction():
            store.models.register(Registered("own-1", "own-1", "bundled", NOW + HOUR, 38, {}, in_force=True))
        assert "Judge 10 more" in client.get("/label").text  # what the model may have learned from says nothing


def test_a_strangers_words_do_nothing_on_the_page(store: Store, folder: Path) -> None:
    text = "acme <script>alert(1)</script>" + "x" * 100_000
    at = NOW - DAY
    keep(store, mention(1, text, at, collected_at=at, author="<i>me</i>", url="javascript:alert(1)"))
    judge(store)
    with pages(folder, SITE, user=ANN) as client:
        page = client.get("/label").text
    assert shown(page)
    assert "<script>alert" not in page
    assert "<i>me" not in page
    assert "javascript:" not in page


def test_who_only_looks_may_not_judge(store: Store, folder: Path) -> None:
    fill(store, 1)
    with pages(folder, SITE, user=User(0, "vera", "viewer")) as client:
        assert client.get("/label").status_code == 403
        assert client.post("/label", data={"match": "1", "sentiment": "neutral"}).status_code == 403
