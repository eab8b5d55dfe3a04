"""Datasette over our database: every question is answered as we count it ourselves, and what is secret stays so."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from db.desk import User
from db.filters import Filter
from db.records import Coverage, Match, Reach, Verdict
from db.share import LEFT_OUT, SECRET, share
from db.store import Store
from jobs.desk import acts
from monitor.datasette import metadata
from tests.cli_rig import complaint, said, sentimon
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention, rows
from tests.web_rig import SPIKE

ANN = User(1, "ann", "admin")
TEXTS = (
    "awful acme",
    "love acme",
    "acme is fine",
    "buy acme?",
    "awful acme shop, charged twice",
    "love acme, buy it",
    "1",
)
SECRETS = ("argon-hash", "session-key", "token-key", "192.0.2.7", "forgotten-hash", "hashed-options")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three weeks of two brands on two sources, with alerts, cases, surveys, verdicts and gaps, and secrets."""
    path = tmp_path_factory.mktemp("data") / "posts.db"
    with Store(path) as store:
        for number in range(84):
            brand, source = ("Bolt", "Acme", "Acme")[number % 3], ("x", "reddit")[number % 2]
            text = TEXTS[number % 7].replace("acme", brand.lower())
            at = NOW - number * 6 * HOUR
            keep(
                store, mention(number, text, at, source, author=f"a{number % 9}", reach=Reach(number)), brands=(brand,)
            )
        judge(store)
        found = list(store.mentions.every(Filter()))
        negative = [match for match in found if match.sentiment == "negative" and match.brand == "Acme"]
        lovers = [match for match in found if match.sentiment == "positive"]
        with store.transaction():
            store.verdicts.give(
                [Verdict(match.id, "ann", NOW, {"stage": "advocacy"}, random=True) for match in lovers[:6]]
                + [Verdict(match.id, "ann", NOW, {"sentiment": "neutral"}, random=True) for match in negative[:2]]
                + [Verdict(match.id, "ann", NOW, {"sentiment": "negative"}, random=True) for match in negative[2:5]]
                + [Verdict(negative[5].id, "ann", NOW, {}, about=False)]
                + [Verdict(negative[2].id, "bob", NOW + MINUTE, {"touchpoint": "email"})]  # sentiment stays ann's
                + [Verdict(negative[6].id, "bob", NOW, {"sentiment": "positive"})]  # corrected, and then judged blind
                + [Verdict(negative[6].id, "ann", NOW + MINUTE, {"touchpoint": "email"}, random=True)]
            )
            store.alerts.save(replace(SPIKE, summary="spike"), negative)
            store.users.add(ANN, "argon-hash", NOW)
            for number, match in enumerate(negative[2:]):
                store.cases.open(match, 1, "negative", 1.0, NOW)
                if number in (1, 2, 3, 5):
                    acts.replied_by_hand(store, number + 1, ANN, NOW + number * MINUTE)
            acts.dismiss(store, 5, ANN, NOW, reason="spam")
            for source, state, since in (("x", "missing", 30), ("reddit", "partial", 8), ("x", "complete", 4)):
                store.sources.configured(source, source, "hashed-options")
                cause = None if state == "complete" else "unavailable"
                since_at, until = NOW - since * HOUR, NOW - (since - 3) * HOUR
                store.sources.cover(
                    Coverage(source, "all", NOW, since_at, until, state, cause, 0, 0, Decimal(0), cause)
                )
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("INSERT INTO sessions VALUES ('session-key', 1, '', '', '', '')")
            connection.execute("INSERT INTO attempts (name, address, at) VALUES ('ann', '192.0.2.7', '')")
            connection.execute(
                "INSERT INTO tokens (user_id, name, key, scopes, created_at) VALUES (1, 't', 'token-key', '', '')"
            )
            connection.execute("INSERT INTO forgotten VALUES ('x', 'forgotten-hash', '', 1)")
            for reply, (kind, score) in enumerate([("csat", 5), ("csat", 2), ("csat", None), ("ces", 7)], 1):
                connection.execute(
                    """INSERT INTO surveys (reply_id, brand, source, kind, created_at, score)
                    VALUES (?, 'Acme', 'x', ?, ?, ?)""",
                    (reply, kind, "2026-03-01T00:00:00Z", score),
                )
        connection.close()
    return path


class Site:
    """Datasette, as `datasette serve` runs it."""

    def __init__(self, path: Path, *, copy: bool = False) -> None:
        from datasette.app import Datasette

        told = yaml.safe_load(metadata(path.stem, copy=copy))
        self.datasette = Datasette([str(path)], metadata=told, pdb=False)
        self.name = path.stem

    def get(self, path: str, **params: str) -> Any:
        """Ask for one address."""
        query = f"?{urlencode(params)}" if params else ""
        return asyncio.run(self.datasette.client.get(f"/{self.name}{path}{query}"))

    def answer(self, question: str, **params: str) -> list[dict[str, Any]]:
        """Ask one of the questions that are ready."""
        answer = self.get(f"/{question}.json", _shape="array", **params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found


@pytest.fixture(scope="module", autouse=True)
def _prints_no_errors() -> Iterator[None]:
    """Datasette prints each page that is not there with all that its code held at that moment: half a second each."""
    import datasette.app  # first: it registers the handler

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasette.handle_exception, "rich", None)
        yield


@pytest.fixture(scope="module")
def site(database: Path) -> Site:
    return Site(database)


@pytest.fixture(scope="module")
def posts(database: Path) -> list[Match]:
    """What is counted, post by post."""
    with Store(database) as store:
        return list(store.mentions.every(Filter()))


def net(found: list[Match]) -> float | None:
    counts = Counter(match.sentiment for match in found)
    rated = counts["negative"] + counts["neutral"] + counts["positive"]
    return round((counts["positive"] - counts["negative"]) / rated, 4) if rated else None


def week_of(match: Match) -> str:
    day = match.mention.created_at.date()
    return str(day - timedelta(days=day.weekday()))


QUESTIONS = yaml.safe_load(metadata("posts", copy=True))["databases"]["posts"]["queries"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_is_explained_and_answered_with_all_fields_left_empty(site: Site, question: str) -> None:
    told = QUESTIONS[question]
    assert told["title"].endswith("?")
    assert told["description"].endswith(".")
    answer = site.get(f"/{question}.json", _shape="array", **dict.fromkeys(told["params"], ""))
    assert answer.status_code == 200, answer.text
    page = site.get(f"/{question}")
    assert page.status_code == 200
    assert told["title"] in page.text.replace("&#39;", "'")
    assert all(f'name="{name}"' in page.text for name in told["params"])


def test_there_are_more_than_ten_questions() -> None:
    assert len(QUESTIONS) >= 10


def test_net_sentiment_by_week_is_ours(site: Site, posts: list[Match], database: Path) -> None:
    found = site.answer("net_sentiment_by_week", brand="Acme", source="x")
    ours = {week_of(match) for match in posts}
    assert {row["week"] for row in found} == ours
    for row in found:
        mine = [m for m in posts if (m.brand, m.mention.source, week_of(m)) == ("Acme", "x", row["week"])]
        assert (row["posts"], row["net_sentiment"]) == (len(mine), net(mine))
    with Store(database) as store:
        trends = store.trends.by(("week", "source"), Filter(since=NOW - 14 * DAY, brands=("Acme",), sources=("x",)))
    since = site.answer("net_sentiment_by_week", brand="Acme", source="x", since="2026-02-18T12:00:00Z")
    assert [(row["week"], row["net_sentiment"]) for row in since[1:]] == [
        (trend.bucket, trend.net_sentiment) for trend in trends[1:]
    ]


def test_share_of_voice_is_ours(site: Site, posts: list[Match]) -> None:
    for row in site.answer("share_of_voice"):
        of_week = [match for match in posts if week_of(match) == row["week"]]
        mine = [match for match in of_week if match.brand == row["brand"]]
        assert (row["posts"], row["share_of_voice"]) == (len(mine), round(len(mine) / len(of_week), 4))


def test_the_journey_is_ours(site: Site, posts: list[Match]) -> None:
    found = {row["stage"]: row for row in site.answer("journey", brand="Acme")}
    assert next(iter(found)) == "awareness"
    for stage, row in found.items():
        mine = [match for match in posts if match.brand == "Acme" and match.stage == stage and match.sentiment]
        assert (row["rated"], row["net_sentiment"]) == (len(mine), net(mine))
    assert found["use"]["change_from_stage_before"] == pytest.approx(
        found["use"]["net_sentiment"] - found["purchase"]["net_sentiment"], abs=1e-3
    )


def test_what_changed_is_ours(site: Site, posts: list[Match]) -> None:
    edge = datetime.fromisoformat("2026-03-05T00:00:00+00:00")

    def negatives(begin: int, end: int, stage: str) -> int:
        span = (edge - begin * DAY, edge - end * DAY)
        return sum(
            m.sentiment == "negative"
            and m.stage == stage
            and m.brand == "Acme"
            and span[0] <= m.mention.created_at < span[1]
            for m in posts
        )

    found = site.answer("what_changed", brand="Acme")
    stages = {row["name"]: row for row in found if row["kind"] == "stage"}
    assert stages
    for stage, row in stages.items():
        assert row["negative_before"] == negatives(14, 7, stage)
        assert row["negative_now"] == negatives(7, 0, stage)
        assert row["change"] == row["negative_now"] - row["negative_before"]
    assert {row["kind"] for row in found} == {"stage", "source", "pillar", "touchpoint"}
    earlier = site.answer("what_changed", brand="Acme", until="2026-02-26")
    for row in earlier:
        if row["kind"] == "stage" and row["name"] in stages:
            assert row["negative_now"] == stages[row["name"]]["negative_before"]


@pytest.mark.parametrize(
    ("question", "key"),
    [
        ("touchpoints_by_channel", lambda m: (m.touchpoint, m.mention.source)),
        ("people_process_product", lambda m: (m.pillar,)),
    ],
)
def test_experience_is_ours(site: Site, posts: list[Match], question: str, key: Any) -> None:
    found = site.answer(question, brand="Acme")
    assert found
    for row in found:
        mine = [m for m in posts if m.brand == "Acme" and m.sentiment and key(m) == tuple(row.values())[: len(key(m))]]
        assert row["net_sentiment"] == net(mine)


def test_service_and_experience_are_ours(site: Site, posts: list[Match]) -> None:
    found = site.answer("service_and_experience", brand="Acme")
    for row in found:
        service = row["what"] == "needs an answer"
        mine = [m for m in posts if m.brand == "Acme" and week_of(m) == row["week"] and (m.reply == "yes") == service]
        assert (row["posts"], row["net_sentiment"]) == (len(mine), net(mine))
    assert sum(row["posts"] for row in found) == sum(match.brand == "Acme" for match in posts)


def test_advocates_are_ours(site: Site, posts: list[Match]) -> None:
    theirs = [match for match in posts if match.stage == "advocacy" and match.sentiment == "positive"]
    assert len(theirs) == 6
    found = site.answer("loudest_advocates")
    assert {(row["source"], row["author"]) for row in found} == {(m.mention.source, m.mention.author) for m in theirs}
    reach = [row["followers"] for row in found]
    assert reach == sorted(reach, reverse=True)
    assert reach[0] == max(match.mention.reach.followers or 0 for match in theirs)


def test_the_posts_of_an_alert_are_ours(site: Site, database: Path) -> None:
    with Store(database) as store:
        ours = [match.id for match in store.mentions.of_alert(1)]
    assert ours
    assert [row["match"] for row in site.answer("posts_of_alert", alert="1")] == ours
    assert site.answer("posts_of_alert", alert="1 OR 1=1") == site.answer("posts_of_alert", alert="1")
    assert site.answer("posts_of_alert", alert="99") == []


def test_first_responses_are_ours(site: Site, database: Path) -> None:
    asked = """SELECT k.source, c.replied_at, k.created_at, c.state, c.closed_at
        FROM cases c JOIN matches k ON k.id = c.match_id"""
    cases = rows(database, asked)
    for row in site.answer("first_response", brand="Acme"):
        waits = sorted(
            (datetime.fromisoformat(replied) - datetime.fromisoformat(posted)) / MINUTE
            for source, replied, posted, *_ in cases
            if replied and source == row["source"]
        )
        assert row["answered"] == len(waits) > 0
        assert row["median_minutes"] == round(waits[-(-len(waits) // 2) - 1])
        assert row["ninetieth_percentile_minutes"] == round(waits[-(-9 * len(waits) // 10) - 1])
        of_source = [case for case in cases if case[0] == row["source"]]
        assert row["dismissed"] == sum(case[3] == "dismissed" for case in of_source)
        assert row["open"] == sum(case[4] is None for case in of_source)


def test_coverage_gaps_are_ours(site: Site, database: Path) -> None:
    with Store(database) as store:
        ours = {
            (name, hour.state, hour.cause)
            for name in ("x", "reddit")
            for hour in store.sources.hours(name, NOW - 3 * DAY, NOW, NOW)
            if hour.state != "complete"
        }
        count = sum(
            hour.state != "complete"
            for name in ("x", "reddit")
            for hour in store.sources.hours(name, NOW - 3 * DAY, NOW, NOW)
        )
    found = site.answer("coverage_gaps")
    assert {(row["source"], row["state"], row["cause"]) for row in found} == ours
    assert sum(row["hours"] for row in found) == count > 0


def test_unhappy_customers_of_a_stage_are_ours(site: Site, posts: list[Match]) -> None:
    ours = sorted(m.mention.text for m in posts if (m.brand, m.stage, m.sentiment) == ("Acme", "use", "negative"))
    assert sorted(row["text"] for row in site.answer("unhappy_at_stage", brand="Acme", stage="use")) == ours
    assert ours


def test_satisfaction_is_told_by_channel_and_kind(site: Site) -> None:
    assert site.answer("satisfaction") == [
        {"source": "x", "kind": "ces", "asked": 1, "answered": 1, "mean": 7.0},
        {"source": "x", "kind": "csat", "asked": 3, "answered": 2, "mean": 3.5},
    ]


def test_the_model_is_held_against_people_as_we_do_it(site: Site, database: Path) -> None:
    with Store(database) as store:
        agreed, judged = store.verdicts.agreement("sentiment", ("Acme",))
    (row,) = [row for row in site.answer("model_against_people") if row["brand"] == "Acme"]
    assert (row["agreed"], row["judged"]) == (agreed, judged) == (3, 5)
    assert row["accuracy"] == 0.6


@pytest.mark.parametrize("copy", [False, True])
def test_secret_tables_are_shown_to_nobody(database: Path, tmp_path: Path, copy: bool) -> None:
    path = database
    if copy:
        path = tmp_path / "copy.db"
        share(database, path)
    site = Site(path, copy=copy)
    for table in LEFT_OUT:
        for end in ("", ".json", ".csv"):
            assert site.get(f"/{table}{end}").status_code in (403, 404), table
    shown = site.get("").text
    assert "matches" in shown
    assert [secret for secret in SECRETS if secret in shown] == []
    assert site.get("/mentions.json").status_code == 200


def test_on_the_database_itself_nobody_writes_sql_of_their_own(site: Site) -> None:
    assert site.get(".json", sql="SELECT password FROM users").status_code == 403
    assert site.get("/mentions.json", _where="1 IN (SELECT 1 FROM users)").status_code == 403
    assert (
        site.get("/net_sentiment_by_week.json", sql="SELECT password FROM users", _shape="array").text.count("argon")
        == 0
    )
    assert site.get(".db").status_code == 403


def test_a_copy_takes_any_question_and_holds_no_secret(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    share(database, copy)
    site = Site(copy, copy=True)
    answer = site.get(".json", sql="SELECT count(*) AS n FROM matches", _shape="array")
    assert answer.json() == [{"n": 84}]
    assert site.get(".json", sql="SELECT * FROM users").status_code == 400
    raw = copy.read_bytes()
    assert [secret for secret in SECRETS if secret.encode() in raw] == []
    assert b"argon-hash" in database.read_bytes() + Path(f"{database}-wal").read_bytes()
    tables = {name for (name,) in rows(copy, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert not tables & set(LEFT_OUT)
    assert rows(copy, "PRAGMA integrity_check") == [("ok",)]
    assert rows(copy, "PRAGMA foreign_key_check") == []
    for table in sorted(tables - {"sources"}):
        if not table.startswith("mentions_fts") and not table.startswith("sqlite_"):
            assert rows(copy, f"SELECT * FROM {table}") == rows(database, f"SELECT * FROM {table}"), table
    assert rows(copy, "SELECT count(*) FROM mentions_fts WHERE mentions_fts MATCH 'awful'")[0][0] > 10
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]


def test_every_table_and_column_that_is_described_is_there_and_every_table_is_named(database: Path) -> None:
    told = yaml.safe_load(metadata("posts", copy=False))["databases"]["posts"]["tables"]
    there = {
        name for (name,) in rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")
        if not name.startswith(("sqlite_", "mentions_fts"))
    }  # fmt: skip
    assert set(told) == there
    for table, words in told.items():
        columns = {row[1] for row in rows(database, f"PRAGMA table_info({table})")}
        named = {*words.get("columns", {}), *words.get("facets", ()), *words.get("units", {})}
        named |= {words[key] for key in ("sort_desc", "label_column") if key in words}
        assert named <= columns, table
        assert words.get("title") or words["allow"] is False, table
    assert {table for table, words in told.items() if words.get("allow") is False} == set(LEFT_OUT)
    assert set(SECRET) < set(LEFT_OUT)


def test_the_command_writes_both(folder: Path, database: Path) -> None:
    (folder / "posts.db").write_bytes(b"")
    (folder / "posts.db").unlink()
    assert "there is no database yet" in complaint(sentimon("datasette", "--export", "copy.db"))
    with Store(folder / "posts.db"):
        pass
    printed = yaml.safe_load(said(sentimon("datasette")))
    assert list(printed["databases"]) == ["posts"]
    assert printed["databases"]["posts"]["allow_sql"] is False
    printed = yaml.safe_load(said(sentimon("datasette", "--export", "for all.db")))
    assert printed["databases"]["for all"]["allow_sql"] is True
    assert rows(folder / "for all.db", "SELECT count(*) FROM matches") == [(0,)]
    said(sentimon("datasette", "--export", "for all.db"))  # again, over the copy
    assert "is the database itself" in complaint(sentimon("datasette", "--export", "posts.db"))
    (folder / "letter.txt").write_text("dear all")
    assert "no copy made by this command" in complaint(sentimon("datasette", "--export", "letter.txt"))
    assert "cannot be written" in complaint(sentimon("datasette", "--export", "nowhere/copy.db"))
    assert (folder / "letter.txt").read_text() == "dear all"
