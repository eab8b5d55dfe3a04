"""The demo, with the bundled model: from an empty folder to an alert and a list of posts to answer."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli_rig import complaint, counts, said, sentimon, told, version_of_bundled
from tests.support import Keywords

needs_model = pytest.mark.skipif(version_of_bundled() is None, reason="models/bundled is not in the tree")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One run of the real thing, some twenty seconds: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder / "sentimon-demo", said(sentimon("demo", "--no-serve"))


@needs_model
def test_the_demo_finds_the_spike_of_norvane(shown: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, text = shown
    monkeypatch.chdir(folder)
    (alert,) = [alert for alert in told("alerts") if alert["brand"] == "Norvane"]
    assert alert["ends"] is None
    assert alert["observed"] >= 10 * alert["expected"]
    assert {"charged", "refund"} & set(alert["in_common"])
    assert alert["summary"] in text
    assert "Negative spike: Norvane" in text  # the console channel


@needs_model
def test_the_demo_ends_with_posts_to_answer(shown: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, text = shown
    monkeypatch.chdir(folder)
    cases = told("queue", "--limit", "1000")
    assert len(cases) >= 10
    assert f"8 of {len(cases)} posts to answer, the most urgent first" in text
    assert {case["brand"] for case in cases if case["alert"]} == {"Norvane"}
    assert cases[0]["brand"] == "Norvane"


@needs_model
def test_every_post_of_the_feed_is_judged_and_dated_back_from_now(
    shown: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = shown
    monkeypatch.chdir(folder)
    status = told("status")
    assert status["posts"] == len((folder / "feed.jsonl").read_text().splitlines())
    assert status["waiting_for_score"] == 0
    newest = max(datetime.fromisoformat(post["created_at"]) for post in told("mentions", "--limit", "10"))
    assert timedelta(0) <= datetime.now(UTC) - newest < timedelta(hours=2)
    assert {row["brand"] for row in told("trends", "--by", "brand")} == {
        "Norvane",
        "Brightkettle",
        "Telvo",
        "Steamwell",
    }


@needs_model
def test_the_labels_of_the_feed_are_found_more_often_than_not(
    shown: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = shown
    monkeypatch.chdir(folder)
    known = {row["id"]: row["sentiment"] for row in map(json.loads, (folder / "feed.jsonl").read_text().splitlines())}
    found = [post for post in told("mentions", "--limit", "5000") if post["rated"]]
    assert sum(post["sentiment"] == known[post["id"]] for post in found) > 0.55 * len(found)


# --- with a model that looks for words: what the folder may hold ------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Keywords())
    return tmp_path


def test_in_a_log_it_says_that_it_scores_before_it_does(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(sentimon("demo", "--no-serve")).splitlines()
    (begun,) = (number for number, line in enumerate(lines) if line.startswith("  scoring "))
    (done,) = (number for number, line in enumerate(lines) if line.startswith("  score: "))
    assert (lines[begun], done) == (
        f"  scoring {counts(here / 'sentimon-demo' / 'demo.db')['matches']} mentions …",
        begun + 1,
    )
    monkeypatch.setattr("monitor.cli.output.is_terminal", lambda stream: True)
    assert "  scoring " not in said(sentimon("demo", "--no-serve"))


def test_each_start_begins_afresh(here: Path) -> None:
    said(sentimon("demo", "--no-serve"))
    first = counts(here / "sentimon-demo" / "demo.db")
    said(sentimon("demo", "--no-serve"))
    again = counts(here / "sentimon-demo" / "demo.db")
    # Posts are dated back from the start: in another minute, other ones share five minutes, and so a row of `buckets`.
    posts = ("mentions", "matches", "scores")
    assert [again[table] for table in posts] == [first[table] for table in posts]
    assert first["mentions"] > 500


@pytest.mark.parametrize("name", ["thesis.txt", "feed.jsonl", "demo.db", "sentimon.toml"])
def test_a_folder_with_somebody_elses_files_is_refused_and_left_alone(here: Path, name: str) -> None:
    (here / "mine").mkdir()
    (here / "mine" / name).write_text("mine")
    line = complaint(sentimon("demo", "--no-serve", "--folder", "mine"), 1)
    assert line == f"sentimon: mine: holds other files ({name}); name a folder for the demo with --folder"
    assert [(path.name, path.read_text()) for path in (here / "mine").iterdir()] == [(name, "mine")]


def test_a_folder_that_cannot_be_made_is_told(here: Path) -> None:
    (here / "file").write_text("")
    for folder in ("file", "file/below"):
        assert f"{folder}: cannot be written" in complaint(sentimon("demo", "--no-serve", "--folder", folder), 1)


def test_a_second_demo_does_not_throw_away_what_the_first_one_serves(here: Path) -> None:
    from monitor.cli.run import alone

    said(sentimon("demo", "--no-serve"))
    before = counts(here / "sentimon-demo" / "demo.db")
    with alone(here / "sentimon-demo" / "demo.db"):
        assert "at work on this database already" in complaint(sentimon("demo", "--no-serve"), 1)
    assert counts(here / "sentimon-demo" / "demo.db") == before
