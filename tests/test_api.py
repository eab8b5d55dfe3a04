"""The programming interface: what the pages show, to those who may see it, and nothing to others."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from db import alerts
from db.labels import LABELS
from db.records import Verdict
from monitor import config, plugins
from monitor.web.app import build
from tests.api_rig import POSTS, TWO_BRANDS, Api, api, fill
from tests.cli_rig import configure
from tests.support import DAY, HOUR, NOW, keep, mention, rows
from tests.web_rig import SPIKE

__all__ = ["api"]


def test_posts_are_listed_the_newest_first_with_their_labels(api: Api) -> None:
    told = api.get("/posts", api.token(), brand="Acme")
    assert [post["text"] for post in told["posts"]] == list(POSTS)
    first = told["posts"][0]
    assert (first["source"], first["source_id"], first["author"]) == ("x", "0", "ann 0")
    assert (first["sentiment"], first["reply"], first["pillar"], first["rated"]) == ("negative", "yes", "process", True)
    assert first["created_at"] == "2026-03-04T12:00:00Z"
    assert told["posts"][-1]["rated"] is False
    assert told["after"] is None


def test_pages_of_posts_follow_each_other_without_gap_or_double(api: Api) -> None:
    with api.store() as store:
        keep(store, *(mention(f"n{n}", "acme", NOW - HOUR) for n in range(7)))  # seven in the same second
    from tests.support import judge

    with api.store() as store:
        judge(store)
    token, seen, after = api.token(), list[int](), None
    for _ in range(10):
        told = api.get("/posts", token, limit=3, **({"after": after} if after else {}))
        assert len(told["posts"]) <= 3
        seen += [post["id"] for post in told["posts"]]
        after = told["after"]
        if after is None:
            break
    assert sorted(seen) == sorted(match_id for (match_id,) in rows(api.database, "SELECT id FROM matches"))
    assert len(seen) == len(set(seen)) == 14


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"sentiment": "negative", "brand": "Acme"}, 2),
        ({"sentiment": ["negative", "positive"], "brand": "Acme"}, 3),
        ({"sentiment": "not_rated"}, 1),
        ({"source": "reddit"}, 1),
        ({"stage": "purchase"}, 1),
        ({"reply": "yes"}, 2),
        ({"pillar": "process"}, 1),
        ({"touchpoint": "store"}, 1),
        ({"text": "shop"}, 1),
        ({"text": '" OR 1'}, 0),
        ({"author": "ann 3"}, 1),
        ({"alert": 1}, 2),
        ({"since": "2026-03-04T11:00:00Z"}, 3),
        ({"since": "2026-03-04T12:00:00+01:00"}, 3),
        ({"until": "2026-03-04"}, 0),
        ({"since": "2026-03-04", "until": "2026-03-04T08:30"}, 2),
        ({"brand": "nobody"}, 0),
    ],
    ids=str,
)
def test_posts_are_narrowed_as_asked(api: Api, asked: dict[str, Any], found: int) -> None:
    assert len(api.get("/posts", api.token(), **asked)["posts"]) == found


def test_counts_are_those_of_the_trends(api: Api) -> None:
    (acme, bolt) = api.get("/trends", api.token(), step="all")
    assert (acme["brand"], acme["mentions"], acme["negative"], acme["positive"], acme["not_rated"]) == (
        "Acme",
        6,
        2,
        1,
        1,
    )
    assert acme["net_sentiment"] == pytest.approx((1 - 2) / 5)
    assert (acme["start"], acme["source"]) == (None, None)
    assert (bolt["mentions"], bolt["net_sentiment"]) == (1, -1.0)
    by_stage = api.get("/trends", api.token("bob"), brand="Acme", by=["source", "stage"])
    assert {(row["start"], row["source"], row["stage"]): row["mentions"] for row in by_stage} == {
        ("2026-03-04", "x", "none"): 1,
        ("2026-03-04", "x", "purchase"): 1,
        ("2026-03-04", "x", "use"): 4,
    }


def test_a_brand_that_is_not_yours_is_not_there(api: Api) -> None:
    token = api.token("eve", "approver", brands=("Bolt",))
    (bolt,) = api.get("/posts", token)["posts"]
    assert bolt["brand"] == "Bolt"
    assert api.get("/posts", token, brand="Acme")["posts"] == []
    assert [row["brand"] for row in api.get("/trends", token)] == ["Bolt"]
    assert [alert["brand"] for alert in api.get("/alerts", token)] == ["Bolt"]
    assert {case["post"]["brand"] for case in api.get("/cases", token)["cases"]} == {"Bolt"}
    assert api.get("/brands", token) == ["Bolt"]
    assert api.get("/posts", token, alert=1)["posts"] == []
    (acme,) = rows(api.database, "SELECT min(id) FROM matches WHERE brand = 'Acme'")[0]
    for path in (f"/v1/posts/{acme}", "/v1/alerts/1", "/v1/cases/1"):
        assert api.ask("GET", path, token).status_code == 404
    for path, given in (
        ("/cases/1/claim", {}),
        ("/alerts/1/take", {}),
        ("/alerts/1/mark", {"word": "noise"}),
        ("/alerts/1/silence", {"hours": 1}),
        ("/verdicts", {"post": acme, "about": False}),
        ("/cases/1/note", {"text": "hm"}),
    ):
        assert api.post(path, token, **given).status_code == 404, path
    assert rows(api.database, "SELECT count(*) FROM verdicts UNION ALL SELECT count(*) FROM silences") == [(0,), (0,)]


@pytest.mark.parametrize(
    ("role", "scopes", "path", "status"),
    [
        ("viewer", ("read",), "GET /v1/posts", 200),
        ("viewer", ("read",), "POST /v1/cases/1/claim", 403),
        ("viewer", ("read", "desk"), "POST /v1/cases/1/claim", 403),
        ("responder", ("read",), "POST /v1/cases/1/claim", 403),
        ("responder", ("desk",), "POST /v1/cases/1/claim", 200),
        ("responder", ("desk",), "GET /v1/posts", 403),
        ("responder", ("desk",), "POST /v1/cases/1/take-over", 403),
        ("admin", (), "GET /v1/posts", 403),
    ],
)
def test_a_token_may_do_what_its_scopes_and_its_owner_may(
    api: Api, role: str, scopes: tuple[str, ...], path: str, status: int
) -> None:
    api.token("someone else")
    if path.endswith("take-over"):
        assert api.post("/cases/1/claim", api.token("bob", "responder")).status_code == 200
    method, _, address = path.partition(" ")
    answer = api.ask(method, address, api.token("ann", role, scopes), **({"json": {}} if method == "POST" else {}))
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("token", [None, b"", b"sm_wrong", "sm_\u00e4".encode(), b"\xff"])
def test_without_a_good_token_nothing_is_told(api: Api, token: bytes | None) -> None:
    api.token()
    headers = {} if token is None else {"Authorization": b"Bearer " + token}
    answer = api.ask("GET", "/v1/posts", None, headers=headers)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    is_problem(answer, 401)


def test_a_disabled_owner_and_an_ended_token_are_refused(api: Api) -> None:
    token = api.token()
    api.get("/posts", token)
    with api.store() as store, store.transaction():
        user = store.users.named("ann")
        assert user is not None
        from dataclasses import replace

        store.users.save(replace(user, disabled_at=NOW))
    is_problem(api.ask("GET", "/v1/posts", token), 401)


def is_problem(answer: Any, status: int) -> dict[str, Any]:
    """Every refusal has the same shape, in one line."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    assert told["type"] == "about:blank"
    assert told["title"]
    assert "\n" not in told["detail"]
    assert 5 < len(told["detail"]) < 400
    return told


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/posts?limit=0", "limit"),
        ("/v1/posts?limit=501", "limit"),
        ("/v1/posts?since=yesterday", "since"),
        ("/v1/posts?since=1", "since"),
        ("/v1/posts?after=x", "after"),
        ("/v1/posts?sentiment=sad", "sentiment"),
        ("/v1/posts/0", "number"),
        ("/v1/posts/x", "number"),
        ("/v1/trends?step=year", "step"),
        ("/v1/cases?state=gone", "state"),
        ("/v1/posts?" + "&".join(["brand=a"] * 51), "brand"),
    ],
)
def test_what_is_not_as_described_is_refused_by_name(api: Api, path: str, named: str) -> None:
    assert is_problem(api.ask("GET", path, api.token()), 422)["detail"].startswith(named)


@pytest.mark.parametrize("path", ["trends", "posts", "cases", "care"])
def test_a_span_that_ends_before_it_begins_is_refused(api: Api, path: str) -> None:
    token = api.token()
    for until in ("2026-03-01", "2026-03-04"):
        told = is_problem(api.ask("GET", f"/v1/{path}?since=2026-03-04&until={until}", token), 400)
        assert told["detail"] == "until: the span ends before it begins; take a later end"


def test_bodies_that_are_none_or_too_large_are_refused(api: Api) -> None:
    token = api.token()
    kind = {"Content-Type": "application/json"}
    is_problem(api.ask("POST", "/v1/verdicts", token, content=b"{", headers=kind), 422)
    is_problem(api.ask("POST", "/v1/verdicts", token, content=b'{"post": "\xff"}', headers=kind), 400)
    is_problem(api.ask("POST", "/v1/cases/1/note", token, json={"text": "x" * 20_001}), 422)
    is_problem(api.ask("POST", "/v1/cases/1/note", token, json={"text": "x" * 300_000}), 413)
    half = json.dumps({"text": "\ud83d"}).encode()
    is_problem(api.ask("POST", "/v1/cases/1/note", token, content=half, headers=kind), 422)
    is_problem(api.ask("DELETE", "/v1/posts", token), 405)
    is_problem(api.ask("GET", "/v1/nothing", token), 404)
    assert rows(api.database, "SELECT count(*) FROM notes") == [(0,)]


def test_a_word_on_a_post_wins_at_once_in_every_count(api: Api) -> None:
    token = api.token()
    (post,) = api.get("/posts", token, text="fine")["posts"]
    answer = api.post("/verdicts", token, post=post["id"], labels={"sentiment": "negative", "stage": "purchase"})
    assert answer.status_code == 201
    changed = answer.json()
    assert (changed["sentiment"], changed["stage"], changed["reviewed"]) == ("negative", "purchase", True)
    assert changed["pillar"] == post["pillar"]
    assert api.get("/trends", token, step="all", brand="Acme")[0]["negative"] == 3
    assert api.get(f"/posts/{post['id']}", token) == changed
    assert rows(api.database, "SELECT reviewer, given_at FROM verdicts") == [("ann", "2026-03-04T12:00:00Z")]
    assert api.post("/verdicts", token, post=post["id"], about=False).json()["about"] is False
    assert api.get("/trends", token, step="all", brand="Acme")[0]["mentions"] == 5


def test_a_word_on_one_label_leaves_what_others_have_said(api: Api) -> None:
    token = api.token()
    (post,) = api.get("/posts", token, text="fine")["posts"]
    said = {"sentiment": "positive", "pillar": "people"}
    with api.store() as store, store.transaction():
        store.verdicts.give([Verdict(post["id"], "bob", NOW - HOUR, said, about=False)])
    staged = api.post("/verdicts", token, post=post["id"], labels={"stage": "purchase"}).json()
    assert {name: staged[name] for name in ("sentiment", "pillar", "stage", "about")} == {
        **said,
        "stage": "purchase",
        "about": False,
    }
    assert api.post("/verdicts", token, post=post["id"], about=True).json() == staged | {"about": True}
    told = is_problem(api.post("/verdicts", token, post=post["id"], labels={}), 400)
    assert told["detail"].startswith("labels: ")
    assert rows(api.database, "SELECT count(*) FROM verdicts") == [(3,)]


def test_alerts_that_another_one_explains_are_listed_on_demand(api: Api) -> None:
    ann = api.token()
    with api.store() as store, store.transaction():
        store.alerts.save(replace(SPIKE, rule="volume spike", summary="Volume spike: Acme"), ())
    for still in (False, True):
        found = api.get("/alerts", ann, brand="Acme", open=still)
        assert [one["rule"] for one in found] == ["negative spike"]
        every = api.get("/alerts", ann, brand="Acme", open=still, parts=True)
        assert {one["rule"] for one in every} == {"negative spike", "volume spike"}


def test_no_more_alerts_are_read_than_are_asked_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, read = api.token(), list[int]()
    with api.store() as store, store.transaction():
        for n in range(40):
            over = replace(SPIKE, starts=NOW - n * DAY, last_seen=NOW - n * DAY, ends=NOW - n * DAY + HOUR, scope="")
            for each in (over, replace(over, rule="volume spike")):
                store.alerts.save(each, ())
    whole = alerts._alert
    monkeypatch.setattr(alerts, "_alert", lambda row: read.append(row["id"]) or whole(row))
    for asked in ({}, {"parts": True}, {"open": True}):
        read.clear()
        found = api.get("/alerts", ann, limit=6, **asked)
        assert [one["id"] for one in found] == read
        assert len(read) == (2 if "open" in asked else 6)


def test_alerts_are_taken_judged_and_silenced(api: Api) -> None:
    ann, bob = api.token(), api.token("bob", "responder")
    alert = api.get("/alerts/1", ann)
    assert (alert["brand"], alert["posts"], alert["taken_by"], alert["feedback"]) == ("Acme", 2, None, None)
    assert (alert["figures"]["observed"], alert["figures"]["factor"]) == (46, 97)
    assert api.post("/alerts/1/take", ann).json()["taken_by"] == "ann"
    assert "ann" in is_problem(api.post("/alerts/1/take", bob), 409)["detail"]
    assert api.post("/alerts/1/take", bob, taken=False).json()["taken_by"] is None
    assert api.post("/alerts/1/mark", bob, word="noise", note="a\nsale").json()["feedback"] == "noise"
    made = api.post("/alerts/1/silence", bob, hours=2.5, comment="sale")
    assert made.status_code == 201
    assert (made.json()["ends"], made.json()["author"]) == ("2026-03-04T14:30:00Z", "bob")
    with api.store() as store:
        (silence,) = store.silences.ending_after(NOW)
        assert (silence.brand, silence.rule, silence.ends) == ("Acme", "negative spike", NOW + timedelta(hours=2.5))
        assert store.alerts.said()[1].note == "a sale"
    assert [row["id"] for row in api.get("/alerts", ann, open=True, brand="Acme")] == [1]
    assert api.get("/alerts", ann, until="2026-01-01") == []


def test_a_case_is_worked_on_and_everything_is_written_down(api: Api) -> None:
    token = api.token()
    listed = api.get("/cases", token, brand="Acme")
    assert listed["total"] == 2
    case = listed["cases"][0]
    claimed = api.post(f"/cases/{case['id']}/claim", token, version=case["version"]).json()
    assert (claimed["state"], claimed["assignee"], claimed["version"]) == ("claimed", "ann", case["version"] + 1)
    assert api.post(f"/cases/{case['id']}/note", token, text="called them").status_code == 200
    assert api.post(f"/cases/{case['id']}/tag", token, tag="#Refund").json()["tags"] == ["refund"]
    assert api.post(f"/cases/{case['id']}/level", token, level="urgent").json()["level"] == "urgent"
    assert api.post(f"/cases/{case['id']}/reply", token, text="We are sorry.").status_code == 200
    whole = api.get(f"/cases/{case['id']}", token)
    assert [event["what"] for event in whole["events"]][:4] == ["opened", "claimed", "noted", "tagged"]
    assert [note["text"] for note in whole["notes"]] == ["called them"]
    assert [(reply["text"], reply["state"]) for reply in whole["replies"]] == [("We are sorry.", "draft")]
    assert api.get("/cases", token, tag="refund", level="urgent", assignee="ANN")["total"] == 1
    until = "2026-03-05T09:00:00+01:00"
    asleep = api.post(f"/cases/{case['id']}/snooze", token, until=until).json()
    assert (asleep["state"], asleep["snoozed_until"]) == ("snoozed", "2026-03-05T08:00:00Z")
    assert api.get("/cases", token, brand="Acme")["total"] == 1
    assert api.post(f"/cases/{case['id']}/reopen", token).json()["state"] == "reopened"
    done = api.post(f"/cases/{case['id']}/dismiss", token, reason="spam").json()
    assert (done["state"], done["dismissed_for"]) == ("dismissed", "spam")
    assert api.get("/cases", token, state="dismissed")["total"] == 1


def test_a_claim_holds_as_long_as_the_file_says(folder: Path) -> None:
    configure(folder, f'{TWO_BRANDS}\n[desk]\nlease = "1h"\n')
    fill(folder)
    app = build(config.load(folder / "sentimon.toml", plugins.load()), lambda: NOW)
    with TestClient(app, raise_server_exceptions=False) as client:
        own = Api(folder, app, client)
        ann, bob = own.token(), own.token("bob", "responder")
        for token, act in ((bob, "claim"), (bob, "claim"), (ann, "take-over"), (ann, "take-over")):
            assert own.post(f"/cases/1/{act}", token).json()["lease_until"] == "2026-03-04T13:00:00Z", act


def test_who_is_too_late_is_told_how_the_case_is_now(api: Api) -> None:
    ann, bob = api.token(), api.token("bob", "responder")
    assert api.post("/cases/1/claim", ann, version=0).status_code == 200
    told = is_problem(api.post("/cases/1/dismiss", bob, version=0, reason="spam"), 409)
    assert (told["current"]["assignee"], told["current"]["version"], told["current"]["state"]) == ("ann", 1, "claimed")
    is_problem(api.post("/cases/1/claim", bob), 409)
    is_problem(api.post("/cases/1/snooze", ann, until="2020-01-01"), 400)
    is_problem(api.post("/cases/1/assign", ann, to="nobody"), 400)
    is_problem(api.post("/cases/1/take-over", bob), 403)


def test_how_things_stand_is_told(api: Api) -> None:
    token = api.token()
    status = api.get("/status", token)
    assert (status["posts"], status["waiting_for_score"]) == (7, 0)
    assert [source["name"] for source in status["sources"]] == ["hn"]
    assert "database" not in status
    assert api.get("/brands", token) == ["Acme", "Bolt"]
    assert api.get("/sources", token) == [{"name": "hn", "kind": "hackernews"}]
    labels = {each["question"]: each["labels"] for each in api.get("/labels", token)}
    assert labels["sentiment"] == list(LABELS["sentiment"])
    assert labels["stage"][-1] == "unsure"
    assert api.get("/models", token) == []
    coverage = api.get("/coverage", token)
    assert datetime.fromisoformat(coverage["since"]) == NOW - DAY
    assert [source["hours"] for source in coverage["sources"]] == [[]]


def test_a_browser_that_is_logged_in_reads_and_writes_only_with_its_token(api: Api) -> None:
    from db.desk import Session
    from monitor.web.auth import COOKIE, hashed

    api.token()
    with api.store() as store, store.transaction():
        user = store.users.named("ann")
        assert user is not None
        store.sessions.add(Session(hashed("key"), user.id, NOW, NOW, NOW + DAY))
    api.client.cookies.set(COOKIE, "key")
    assert api.ask("GET", "/v1/posts", None).status_code == 200
    is_problem(api.ask("POST", "/v1/cases/1/claim", None, json={}), 403)
    is_problem(api.ask("POST", "/v1/cases/1/claim", None, json={}, headers={"X-CSRF-Token": "x"}), 403)
    assert rows(api.database, "SELECT state FROM cases WHERE id = 1") == [("new",)]


def test_a_database_that_cannot_be_read_is_told_as_a_problem(api: Api) -> None:
    from tests.cli_rig import corrupt

    token = api.token()
    corrupt(api.database)
    is_problem(api.ask("GET", "/v1/posts", token), 503)


def test_the_answers_of_the_pages_are_told_to_programs(api: Api) -> None:
    token = api.token()
    whole = api.get("/overview", token, brand="Acme", days=7)
    counts = {"negative": 2, "neutral": 2, "positive": 1, "not_rated": 1}
    assert whole["totals"]["counts"] == counts
    assert whole["totals"]["net"]["value"] == pytest.approx(-0.2)
    assert [alert["brand"] for alert in whole["alerts"]] == ["Acme"]
    journey = api.get("/journey", token, brand="Acme", days=7)
    assert {row["name"]: row["compared"]["counts"]["negative"] for row in journey["rows"]}["use"] == 2
    experience = api.get("/experience", token, brand="Acme", days=7)
    assert {row["name"] for row in experience["pillars"]} >= {"process", "product"}
    columns = api.get("/compare", token, by="brand", brand=["Acme", "Bolt"], days=7)["columns"]
    assert [(column["name"], column["totals"]["counts"]["negative"]) for column in columns] == [
        ("Acme", 2),
        ("Bolt", 1),
    ]
    care = api.get("/care", token, brand="Acme")
    outcomes = care["every"]["outcomes"]
    assert (outcomes["open"], outcomes["answered"]) == (1, 0)  # one of the two was posted in this very second
    is_problem(api.ask("GET", "/v1/overview?since=2026-03-04&until=2026-03-01", token), 400)
    is_problem(api.ask("GET", "/v1/compare?by=period&against=nothing", token), 400)
    long = "days=1&against=custom&before_since=2016-03-01&before_until=2026-03-01"
    told = is_problem(api.ask("GET", f"/v1/compare?by=period&{long}", token), 400)
    assert told["detail"].startswith("step: hours are too many in the 3652 days before")
    assert api.ask("GET", f"/v1/compare?by=brand&{long}", token).status_code == 200


@pytest.mark.parametrize("path", ["trends", "overview", "journey", "experience", "compare", "care"])
def test_a_brand_or_a_source_that_there_is_not_is_refused_not_told_as_without_posts(api: Api, path: str) -> None:
    token, eve = api.token(), api.token("eve", "viewer", brands=("Bolt",))
    for who, asked, why in (
        (token, "brand=acme", "there is no such brand; take one of Acme, Bolt"),
        (eve, "brand=Acme", "there is no such brand; take one of Bolt"),
        (token, "brand=Bolt&source=zzz", "there is no such source; take one of reddit, x, hackernews"),
    ):
        told = is_problem(api.ask("GET", f"/v1/{path}?{asked}", who), 400)
        assert told["detail"] == f"{asked.rpartition('&')[2]} in the address: {why}"
    api.get(f"/{path}", token, brand=["Acme", "Bolt"], source=["reddit", "hackernews"])


def test_own_brands_are_compared_with_all_competitors_where_none_is_named(folder: Path) -> None:
    configure(folder, TWO_BRANDS.replace('query = "bolt"', 'query = "bolt"\nrole = "competitor"'))
    fill(folder)
    app = build(config.load(folder / "sentimon.toml", plugins.load()), lambda: NOW)
    with TestClient(app, raise_server_exceptions=False) as client:
        own = Api(folder, app, client)
        ann, eve = own.token(), own.token("eve", "viewer", brands=("Bolt",))

        def columns(token: str, **asked: Any) -> list[str]:
            return [column["name"] for column in own.get("/compare", token, days=7, **asked)["columns"]]

        assert columns(ann) == columns(ann, brand="") == ["Acme", "Bolt"]
        assert columns(ann, brand="Acme") == ["Acme"]
        assert columns(eve) == ["Bolt"]
        assert columns(ann, by="source") == ["x"]
