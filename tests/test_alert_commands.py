"""`sentimon alerts`: list, take, mark, precision, silence, silences, unsilence, test."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from db.filters import Filter
from db.records import Alert, Feedback
from db.store import Store
from jobs.hold import held
from monitor.app import utc_now
from tests.cli_rig import complaint, configure, said, sentimon, told
from tests.support import DAY, HOUR, MINUTE, judge, keep, mention, rows

NOW = datetime(2025, 6, 4, 12, tzinfo=UTC)
SPIKE = Alert(
    id=0,
    brand="Acme",
    rule="negative spike",
    starts=NOW - HOUR,
    last_seen=NOW,
    ends=None,
    severity="critical",
    observed=46,
    expected=0.47,
    factor=97.0,
    probability=3e-10,
    window_minutes=180,
    mentions=61,
    share=0.75,
    usual_share=0.17,
    summary="Acme: 46 negative posts in 3 h",
    in_common=("twice", "refund"),
    score=9.5,
    low=0.0,
    high=3.0,
)
TABLES = ("alerts", "alert_posts", "feedback", "silences", "deliveries")


def raised(folder: Path, *alerts: Alert, posts: Sequence[str] = ()) -> list[int]:
    """Store alerts, the first with these posts. Returns their numbers."""
    with Store(folder / "posts.db") as store:
        keep(store, *(mention(number, text, NOW) for number, text in enumerate(posts)))
        judge(store)
        with store.transaction():
            return [
                store.alerts.save(alert, list(store.mentions.every(Filter())) if not number else ()).id
                for number, alert in enumerate(alerts)
            ]


def stored(folder: Path) -> Mapping[str, list[tuple[Any, ...]]]:
    return {table: rows(folder / "posts.db", f"SELECT * FROM {table}") for table in TABLES}


def alert_of(folder: Path, number: int) -> Alert:
    with Store(folder / "posts.db") as store:
        return store.alerts.get(number) or pytest.fail(f"no alert {number}")


# --- list -------------------------------------------------------------------------------------------------------------


def test_alerts_alone_lists_them(folder: Path) -> None:
    assert said(sentimon("alerts")) == "No alerts.\n"
    raised(folder, SPIKE, posts=["acme charged twice", "awful acme"])
    lines = said(sentimon("alerts")).splitlines()
    assert lines[0] == "CRITICAL  Acme: 46 negative posts in 3 h"
    assert lines[1] == "  alert 1, since 2025-06-04 11:00 UTC, going on; probability by chance 3e-10"
    assert lines[2] == "  in common: twice, refund"
    assert lines[3] == "  2 negative posts in all: sentimon queue --brand Acme"
    assert sorted(lines[4:]) == ["    x: acme charged twice", "    x: awful acme"]
    assert said(sentimon("alerts", "list")).splitlines() == lines


def test_a_list_says_who_sees_to_it_who_is_not_told_and_what_was_said(folder: Path) -> None:
    raised(folder, replace(SPIKE, ends=NOW, taken_by="ann", held="silenced by bob until tomorrow"))
    said(sentimon("alerts", "mark", "1", "known", "--by", "bob", "--note", "the\x1b[2J launch"))
    listed = said(sentimon("alerts"))
    assert "over at 2025-06-04 12:00" in listed
    assert (
        "\n  taken by ann\n  nobody is told now: silenced by bob until tomorrow\n  bob says: known, the [2J launch\n"
        in listed
    )
    (alert,) = told("alerts")
    assert (alert["taken_by"], alert["feedback"], alert["post_count"]) == ("ann", "known", 0)
    assert alert["held"] == "silenced by bob until tomorrow"


def test_a_list_is_narrowed_by_rule_brand_and_time(folder: Path) -> None:
    raised(
        folder,
        SPIKE,
        replace(SPIKE, rule="volume spike", starts=NOW - 9 * DAY, last_seen=NOW - 9 * DAY, ends=NOW - 9 * DAY),
        replace(SPIKE, brand="", rule="stale source", scope="x-main"),
    )
    assert {alert["id"] for alert in told("alerts")} == {1, 2, 3}
    assert [alert["id"] for alert in told("alerts", "--rule", "volume spike")] == [2]
    assert {alert["id"] for alert in told("alerts", "--rule", "volume spike", "--rule", "stale source")} == {2, 3}
    assert {alert["id"] for alert in told("alerts", "--brand", "acme")} == {1, 2}
    assert {alert["id"] for alert in told("alerts", "--since", "2025-06-01")} == {1, 3}
    assert "negative posts in all" not in said(sentimon("alerts", "--rule", "stale source"))


def test_what_is_part_of_another_alert_is_listed_when_asked_for(folder: Path) -> None:
    part = replace(SPIKE, scope="source x", held="inhibited: part of alert 1, negative spike")
    raised(folder, SPIKE, part)
    assert [alert["id"] for alert in told("alerts")] == [1]
    assert {alert["id"] for alert in told("alerts", "--all")} == {1, 2}
    assert "nobody is told now: inhibited: part of alert 1" in said(sentimon("alerts", "--all"))


# --- take -------------------------------------------------------------------------------------------------------------


def test_an_alert_is_taken_and_released(folder: Path) -> None:
    raised(folder, SPIKE)
    assert said(sentimon("alerts", "take", "1", "--by", "ann")) == "alert 1 is taken by ann\n"
    taken = alert_of(folder, 1)
    assert taken.taken_by == "ann"
    assert taken.taken_at is not None
    assert utc_now() - taken.taken_at < HOUR
    assert said(sentimon("alerts", "take", "1", "--by", "ann")) == "alert 1 is taken by ann\n"
    line = complaint(sentimon("alerts", "take", "1", "--by", "bob"), 1)
    assert line == "sentimon: alert 1 is taken by ann; to take it over, --release it first"
    assert alert_of(folder, 1).taken_by == "ann"
    assert said(sentimon("alerts", "take", "1", "--release", "--by", "bob")) == "alert 1 is taken by nobody\n"
    assert (alert_of(folder, 1).taken_by, alert_of(folder, 1).taken_at) == (None, None)
    assert "alert 1 is taken by bob" in said(sentimon("alerts", "take", "1", "--by", "bob"))


def test_who_is_at_the_terminal_takes_it_unless_a_name_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "carla")
    raised(folder, SPIKE)
    assert said(sentimon("alerts", "take", "1")) == "alert 1 is taken by carla\n"


@pytest.mark.parametrize("command", [["take", "7"], ["mark", "7", "useful"], ["silence", "--alert", "7"]], ids=str)
def test_an_alert_that_nobody_knows_is_one_line(folder: Path, command: list[str]) -> None:
    raised(folder, SPIKE)
    before = stored(folder)
    line = complaint(sentimon("alerts", *command), 1)
    assert line == "sentimon: no alert 7; `sentimon alerts` lists them with their numbers"
    assert stored(folder) == before


@pytest.mark.parametrize("number", ["0", "-1", "x", str(10**30)])
@pytest.mark.parametrize("command", ["take", "unsilence"])
def test_what_is_no_number_of_anything_is_one_line(folder: Path, command: str, number: str) -> None:
    complaint(sentimon("alerts", command, "--", number), 2)
    complaint(sentimon("alerts", "silence", f"--alert={number}"), 2)


# --- mark and precision -----------------------------------------------------------------------------------------------


def test_the_newest_word_on_an_alert_counts(folder: Path) -> None:
    raised(folder, SPIKE)
    assert said(sentimon("alerts", "mark", "1", "noise", "--by", "ann")) == "alert 1 is noise\n"
    assert (
        said(sentimon("alerts", "mark", "1", "useful", "--by", "bob", "--note", "it was real")) == "alert 1 is useful\n"
    )
    with Store(folder / "posts.db") as store:
        (word,) = store.alerts.said().values()
    assert (word.who, word.word, word.note) == ("bob", "useful", "it was real")
    assert len(stored(folder)["feedback"]) == 2


def test_only_three_words_are_taken(folder: Path) -> None:
    raised(folder, SPIKE)
    line = complaint(sentimon("alerts", "mark", "1", "great"), 2)
    assert "'useful', 'noise', 'known'" in line
    assert complaint(sentimon("alerts", "mark", "1", "useful", "--note", "\udcff"), 2).count("is not UTF-8") == 1
    assert stored(folder)["feedback"] == []


def judged(folder: Path, *words: tuple[float, str]) -> None:
    """Alerts with these scores, and what was said of them."""
    numbers = raised(folder, *(replace(SPIKE, score=score, ends=NOW) for score, _ in words))
    with Store(folder / "posts.db") as store, store.transaction():
        for number, (_, word) in zip(numbers, words, strict=True):
            if word:
                store.alerts.say(Feedback(number, "ann", NOW, word))


def test_precision_counts_what_was_said_of_each_rule(folder: Path) -> None:
    judged(folder, (9.0, "useful"), (5.0, "useful"), (5.0, "useful"), (4.1, "noise"), (6.0, "known"), (7.0, ""))
    part = replace(SPIKE, scope="source x", held="inhibited: part of alert 1, negative spike")
    raised(folder, replace(SPIKE, rule="volume spike"), part)
    found = told("alerts", "precision")
    by_rule = {row["rule"]: row for row in found["rules"]}
    spikes = by_rule["negative spike"]
    assert {name: spikes[name] for name in ("alerts", "useful", "noise", "known")} == {
        "alerts": 6,
        "useful": 3,
        "noise": 1,
        "known": 1,
    }
    assert spikes["precision"] == 0.75
    assert 0.2 < spikes["low"] < 0.75 < spikes["high"] < 1.0
    assert (by_rule["volume spike"]["alerts"], by_rule["volume spike"]["precision"]) == (1, None)
    assert by_rule["silence"]["alerts"] == 0
    assert found["thresholds"] == {}
    table = said(sentimon("alerts", "precision"))
    assert "75%" in table
    assert "speaks for" not in table


def test_a_threshold_is_offered_and_not_taken(folder: Path) -> None:
    judged(folder, *[(9.0, "useful")] * 4, *[(4.2, "noise")] * 4)
    before = (folder / "sentimon.toml").read_text()
    assert told("alerts", "precision")["thresholds"] == {"Acme": {"threshold": 4.0, "offered": 4.5}}
    last = said(sentimon("alerts", "precision")).splitlines()[-1]
    assert last.startswith("Acme: what was said speaks for threshold = 4.5 in its [[brands]] entry (now 4); see")
    assert (folder / "sentimon.toml").read_text() == before


# --- silence, silences, unsilence -------------------------------------------------------------------------------------


def test_a_silence_is_made_listed_and_ended(folder: Path) -> None:
    assert said(sentimon("alerts", "silences")) == "Nothing is silenced.\n"
    made = said(
        sentimon("alerts", "silence", "--brand", "acme", "--for", "2h", "--by", "ann", "--comment", "launch day")
    )
    assert made.startswith("silence 1: Acme until ")
    assert made.endswith(" UTC, by ann: launch day\n")
    assert said(sentimon("alerts", "silences")) == made
    (listed,) = told("alerts", "silences")
    assert (listed["brand"], listed["rule"], listed["scope"], listed["author"]) == ("Acme", None, None, "ann")
    length = datetime.fromisoformat(listed["ends"]) - datetime.fromisoformat(listed["starts"])
    assert length == 2 * HOUR
    assert said(sentimon("alerts", "unsilence", "1")) == "silence 1 is ended\n"
    assert told("alerts", "silences") == []
    line = complaint(sentimon("alerts", "unsilence", "1"), 1)
    assert line == "sentimon: no silence 1 holds; `sentimon alerts silences` lists those that do"


def test_a_silence_by_an_alert_holds_all_of_its_cause(folder: Path) -> None:
    now = utc_now()
    whole = replace(SPIKE, starts=now - HOUR, last_seen=now)
    slice_, other = replace(whole, scope="source x"), replace(whole, rule="volume spike")
    raised(folder, whole, slice_, other)
    said(sentimon("alerts", "silence", "--alert", "1", "--by", "ann"))
    with Store(folder / "posts.db") as store:
        silences = store.silences.ending_after(now)
    reasons = [held(alert, [], silences, [], now + MINUTE) for alert in (whole, slice_, other)]
    assert reasons[0] is not None
    assert reasons[0].startswith("silenced by ann until ")
    assert reasons[1] == reasons[0]  # else the next message would be on the slice
    assert reasons[2] is None
    said(sentimon("alerts", "unsilence", "1"))
    said(sentimon("alerts", "silence", "--alert", "2", "--by", "ann"))
    with Store(folder / "posts.db") as store:
        silences = store.silences.ending_after(utc_now())
    assert [bool(held(alert, [], silences, [], now + MINUTE)) for alert in (whole, slice_)] == [False, True]


def test_a_silence_of_a_stale_source_is_of_that_source(folder: Path) -> None:
    raised(folder, replace(SPIKE, brand="", rule="stale source", scope="x-main"))
    assert said(sentimon("alerts", "silence", "--alert", "1", "--for", "30m")).startswith(
        "silence 1: stale source x-main until "
    )
    (listed,) = told("alerts", "silences")
    assert (listed["brand"], listed["rule"], listed["scope"]) == ("", "stale source", "x-main")


def test_a_silence_can_be_on_a_rule(folder: Path) -> None:
    assert said(sentimon("alerts", "silence", "--rule", "silence")).startswith("silence 1: silence until ")
    assert said(sentimon("alerts", "silence", "--rule", "volume spike", "--brand", "Acme")).startswith(
        "silence 2: Acme volume spike until "
    )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "a silence over everything hides what matters"),
        (["--for", "2h", "--comment", "quiet, please"], "name --alert, --brand or --rule"),
        (["--alert", "1", "--brand", "Acme"], "name it alone"),
        (["--brand", "Acme", "--for", "91d"], "at most 90d"),
        (["--brand", "Acme", "--for", "99999d"], "at most 90d"),
        (["--brand", "Acme", "--for", "0h"], "more than nothing"),
        (["--brand", "Acme", "--for", "2 weeks"], "'2 weeks' is not a span; write 30m, 8h or 3d"),
        (["--brand", "Acme", "--for", "-3h"], "is not a span"),
        (["--brand", "Acme", "--for", "٣h"], "is not a span"),
        (["--brand", "Acme", "--for", ""], "is not a span"),
        (["--rule", "spike"], "'spike' is not one of"),
    ],
)
def test_a_silence_that_cannot_be_is_one_line(folder: Path, args: list[str], words: str) -> None:
    raised(folder, SPIKE)
    assert words in complaint(sentimon("alerts", "silence", *args), 2)
    assert stored(folder)["silences"] == []


def test_a_silence_on_a_brand_that_nobody_knows_names_the_nearest(folder: Path) -> None:
    assert complaint(sentimon("alerts", "silence", "--brand", "Akme"), 1).endswith(
        "no brand 'Akme'; did you mean Acme?"
    )
    assert stored(folder)["silences"] == []


# --- test -------------------------------------------------------------------------------------------------------------


class _Service(ThreadingHTTPServer):
    """Answers with one status and keeps what it is sent."""

    status = 200

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(service.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


def test_a_test_message_goes_through_the_channel(folder: Path) -> None:
    service = _Service()
    try:
        address = f'url = "json://127.0.0.1:{service.server_address[1]}/hook"'
        configure(folder, f'[[channels]]\nname = "desk"\n{address}', '[[channels]]\nkind = "console"')
        assert said(sentimon("alerts", "test", "desk")) == "desk has taken the test message\n"
        (body,) = service.bodies
        assert "This channel works" in json.dumps(body)
        service.status = 403
        assert complaint(sentimon("alerts", "test", "desk"), 1).startswith("sentimon: desk: ")
    finally:
        service.shutdown()
        service.server_close()
    line = complaint(sentimon("alerts", "test", "pager"), 1)
    assert line == "sentimon: no channel 'pager'; there are: desk, console"
    assert "This channel works" in said(sentimon("alerts", "test", "console"))
    assert not (folder / "posts.db").exists()


def test_a_channel_whose_secret_is_missing_says_which(folder: Path) -> None:
    configure(folder, '[[channels]]\nname = "desk"\nurl = { env = "DESK_URL_OF_NOBODY" }')
    line = complaint(sentimon("alerts", "test", "desk"), 2)
    assert "channels.desk" in line
    assert "DESK_URL_OF_NOBODY" in line


def test_a_mistyped_word_is_one_line(folder: Path) -> None:
    line = complaint(sentimon("alerts", "silense"), 2)
    assert line.startswith("sentimon: no command 'silense'; did you mean silence?")
    assert complaint(sentimon("alerts", "17"), 2).startswith("sentimon: no command '17';")
    complaint(sentimon("alerts", "take"), 2)


def test_spans_and_names_reach_the_store_as_they_were_given(folder: Path) -> None:
    said(sentimon("alerts", "silence", "--brand", "Acme", "--for", "90d", "--by", "ann o'neil", "--comment", "a; b"))
    (listed,) = told("alerts", "silences")
    assert (listed["author"], listed["comment"]) == ("ann o'neil", "a; b")
    assert datetime.fromisoformat(listed["ends"]) - datetime.fromisoformat(listed["starts"]) == timedelta(days=90)
