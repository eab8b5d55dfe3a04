"""`sentimon alerts backtest`: a file or the store is replayed, and nothing is changed by it."""

import json
import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.filters import Filter
from db.records import NO_BRAND, Alert, Coverage, Feedback, Mention
from db.store import Store
from jobs.reading import Reading
from jobs.replay import replay
from jobs.rules import Watching
from jobs.watch import watch
from models.backtest import THRESHOLDS, backtest
from models.rivals import RIVALS
from tests.cli_rig import complaint, configure, counts, one_line, ran, said, sentimon, told
from tests.support import DAY, HOUR, MINUTE, judge, keep, mention, rows

START = datetime(2025, 6, 2, tzinfo=UTC)
NOW = START + 14 * DAY
BURST = NOW - 30 * HOUR  # when the negatives begin
FIVE = timedelta(minutes=5)
SPAN = ("--since", "2025-06-13", "--until", "2025-06-16")
HEADER = "timestamp,mentions,negative"
SOME = [f"2026-01-01 00:{minute:02}:00,5,1" for minute in (0, 5, 10, 15)]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, without a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    return tmp_path


def series(days: int = 10, seed: int = 1) -> tuple[list[datetime], Any, Any]:
    """Counts with two hours of more negatives on the ninth day, and two of more of everything on the sixth."""
    dice = np.random.default_rng(seed)
    steps = days * 288
    mentions = dice.poisson(8 * (1 + 0.8 * np.sin(2 * np.pi * np.arange(steps) / 288)))
    mentions[5 * 288 + 100 : 5 * 288 + 124] += 100
    negatives = dice.binomial(mentions, 0.2)
    negatives[8 * 288 + 100 : 8 * 288 + 124] += 15
    mentions[8 * 288 + 100 : 8 * 288 + 124] += 15
    return [START + FIVE * step for step in range(steps)], mentions, negatives


def write(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text("\n".join((header, *lines, "")), encoding="utf-8")
    return path


def counts_file(folder: Path, value: str = "mentions", negative: bool = True) -> Path:
    times, mentions, negatives = series()
    lines = [
        f"{time:%Y-%m-%d %H:%M:%S},{every}" + (f",{bad}" if negative else "")
        for time, every, bad in zip(times, mentions, negatives, strict=True)
    ]
    return write(folder / "counts.csv", *lines, header=f"timestamp,{value}{',negative' if negative else ''}")


def replayed(*args: str, stdin: str | bytes | None = None) -> list[dict[str, Any]]:
    result = sentimon("alerts", "backtest", "--json", *args, stdin=stdin)
    return [json.loads(line) for line in said(result, *args).splitlines()]


# --- a file -----------------------------------------------------------------------------------------------------------


def test_each_row_becomes_one_line(bare: Path) -> None:
    path = counts_file(bare)
    found = replayed("--csv", str(path))
    times, mentions, negatives = series()
    assert [list(row) for row in found] == [["timestamp", "score", "severity", "alert", "kind", "reason"]] * len(times)
    assert [row["timestamp"] for row in found] == [f"{time:%Y-%m-%d %H:%M:%S}" for time in times]
    expected = backtest(times, mentions, negatives)
    assert [(r["score"], r["severity"], r["alert"], r["kind"], r["reason"]) for r in found] == [
        (r.score, r.severity, r.alert, r.kind, r.reason) for r in expected
    ]
    assert {row["kind"] for row in found if row["alert"]} == {"negative", "volume"}
    assert list(bare.iterdir()) == [path]  # no configuration, no database


def test_timestamps_are_echoed_as_they_are_written(bare: Path) -> None:
    written = ["2026-01-01T00:00Z", "2026-01-01 00:05", "2026-01-01T01:10:00+01:00", "20260101T001500"]
    path = write(bare / "c.csv", *(f"{text},5" for text in written), header="timestamp,value")
    assert [row["timestamp"] for row in replayed("--csv", str(path))] == written


def test_what_a_spreadsheet_writes_is_read_as_well(bare: Path) -> None:
    plain = replayed("--csv", str(counts_file(bare)))
    text = (bare / "counts.csv").read_text()
    assert replayed("--csv", "-", stdin=text) == plain
    dressed = "\ufeff" + text.replace("\n", "\r\n").replace(
        "timestamp,mentions,negative", '" Timestamp",MENTIONS,negative '
    )
    assert replayed("--csv", "-", stdin=dressed.encode()) == plain
    swapped = "".join(f"note,{line}\n" for line in text.splitlines()).replace("note,timestamp", "remark,timestamp")
    assert replayed("--csv", "-", stdin=swapped) == plain
    counts_file(bare, value="value")
    assert replayed("--csv", "counts.csv") == plain


def test_without_negatives_only_volume_spikes_are_looked_for(bare: Path) -> None:
    counts_file(bare, negative=False)
    assert {row["kind"] for row in replayed("--csv", "counts.csv")} == {None, "volume"}
    result = sentimon("alerts", "backtest", "--csv", "counts.csv", "--threshold", "3", "--json")
    assert "no column negative: --threshold and --minimum change nothing" in one_line(result.stderr)
    listed = said(sentimon("alerts", "backtest", "--csv", "counts.csv"))
    assert "volume spike" in listed
    assert "negative spike" not in listed
    assert "share up" not in listed


def test_an_empty_cell_and_a_row_that_is_left_out_were_not_read(bare: Path) -> None:
    write(bare / "c.csv", SOME[0], "2026-01-01 00:05:00,,", "", SOME[3])
    found = replayed("--csv", "c.csv")
    assert [row["reason"][:8] for row in found] == ["learning", "no value", "learning"]


def test_the_options_change_what_is_told(bare: Path) -> None:
    counts_file(bare)
    alerts = {
        args: sum(row["alert"] and row["kind"] == "negative" for row in replayed("--csv", "counts.csv", *args))
        for args in ((), ("--threshold", "200"), ("--minimum", "5000"))
    }
    assert alerts[()] > 0
    assert alerts["--threshold", "200"] == alerts["--minimum", "5000"] == 0


def test_people_see_how_many_at_each_threshold_the_list_and_the_rules_of_others(bare: Path) -> None:
    counts_file(bare)
    lines = said(sentimon("alerts", "backtest", "--csv", "counts.csv", "--threshold", "4.5")).splitlines()
    assert lines[0] == "counts.csv: 2,880 rows, 2025-06-02 00:00 to 2025-06-11 23:55 UTC, 10 days"
    ladder = [line.split() for line in lines if re.match(r" [0-9.]+ ( *\(default\))? +\d+ +\d+ +\d+ *$", line)]
    assert [row[0] for row in ladder] == ["3", "3.5", "4", "4.5", "5", "6"]
    numbers = [int(row[-1]) for row in ladder]
    assert numbers == sorted(numbers, reverse=True)
    (head,) = [line for line in lines if line.startswith("At threshold 4.5: ")]
    assert f"{numbers[3]} alerts in 10 days, here they are" in head
    listed = [line for line in lines if line.startswith(" 2025-")]
    assert len(listed) == numbers[3]
    (spike,) = [line for line in listed if "negative spike" in line]
    assert re.search(r"2025-06-10 08:[0-9]{2} +\d+ h .* in (15 min|1 h|3 h) ", spike)
    assert [rival.name for rival in RIVALS if not any(rival.name in line for line in lines)] == []


def test_too_short_a_series_says_so(bare: Path) -> None:
    write(bare / "c.csv", *SOME)
    assert "48 hours of history are needed" in said(sentimon("alerts", "backtest", "--csv", "c.csv"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "two rows at least"),
        (SOME[:1], "two rows at least"),
        (["2026-01-01 00:00:00;5;1", SOME[1]], "row 1: 1 cells, where the first line names 3 columns"),
        ([SOME[0], SOME[2], SOME[1]], "row 3: 2026-01-01 00:05:00 is earlier than the row before"),
        ([SOME[0], SOME[0]], "row 2: 2026-01-01 00:00:00 is there twice"),
        ([SOME[0], "2026-01-01 00:05:00,x,1"], "row 2: mentions 'x' is not a number"),
        ([SOME[0], "2026-01-01 00:05:00,5,1_0"], "row 2: negative '1_0' is not a number"),
        ([SOME[0], "2026-01-01 00:05:00,5,7"], "row 2: 7 negative of 5 mentions"),
        ([SOME[0], "2026-01-01 00:05:00,-5,1"], "row 2: -5 is no count"),
        ([SOME[0], "2026-01-01 00:05:00,1e300,1"], "row 2: mentions 1e300 is more than anybody posts"),
        ([SOME[0], "2026-01-01 00:05:00,inf,1"], "row 2: mentions inf is more than anybody posts"),
        ([SOME[0], "yesterday\x1b[2J,5,1"], "row 2: timestamp 'yesterday [2J' is not a time; write 2026-11-21"),
        ([SOME[0], "2026-01-01 00:05:00,5"], "row 2: 2 cells, where the first line names 3 columns"),
        ([*SOME[:2], "2026-01-01 00:11:00,5,1"], "row 3: 2026-01-01 00:11:00 is 0:06:00 after the row before"),
        (["2026-01-01,5,1", "2026-01-02,5,1"], "counts of 1 to 60 minutes are needed"),
        ([SOME[0], "2026-01-01 00:05:00," + "9" * 200_000 + ",1"], "is not CSV: field larger than field limit"),
    ],
)
def test_a_row_that_cannot_be_is_named_in_one_line(bare: Path, lines: Sequence[str], message: str) -> None:
    write(bare / "c.csv", *lines)
    for more in ([], ["--json"]):
        line = complaint(sentimon("alerts", "backtest", "--csv", "c.csv", *more), 1)
        assert line.startswith("sentimon: c.csv: ")
        assert message in line


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "is empty; expected is a first line that names the columns: timestamp, mentions (or value)"),
        (b"\n\n", "is empty"),
        (b"timestamp;mentions;negative\n", "separated by semicolons or tabs; expected are commas"),
        (b"timestamp\tmentions\n", "separated by semicolons or tabs"),
        (
            b"time,mentions\n",
            "no column timestamp in the first line (time, mentions); expected are timestamp, mentions",
        ),
        (b"timestamp,count\n", "no column mentions or value"),
        (b"timestamp,value,value\n", "names the column value twice"),
        (b"\xff\xfet\x00i\x00", "is not text in UTF-8"),
        (b"\x1f\x8b\x08\x00", "is not text in UTF-8"),
    ],
)
def test_a_file_that_is_none_says_what_is_expected(bare: Path, given: bytes, message: str) -> None:
    (bare / "c.csv").write_bytes(given)
    assert message in complaint(sentimon("alerts", "backtest", "--csv", "c.csv"), 1)
    line = complaint(sentimon("alerts", "backtest", "--csv", "-", stdin=given), 1)
    assert line.startswith("sentimon: standard input: ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--csv", "nothing.csv"], "nothing.csv: cannot be read: No such file or directory"),
        (["--csv", "."], "cannot be read: Is a directory"),
        ([], "name --brand or --csv"),
        (["--csv", "a", "--brand", "b"], "name --brand or --csv, one of them"),
        (["--csv", "a", "--since", "3d"], "--since and --until go with --brand"),
        (["--csv", "a", "--threshold", "nan"], "--threshold must be a number"),
        (["--csv", "a", "--threshold", "0"], "not in the range"),
        (["--csv", "a", "--minimum", "0"], "not in the range"),
        (["--brand", "b"], "sentimon.toml"),
    ],
)
def test_what_cannot_be_asked_is_one_line(bare: Path, args: list[str], message: str) -> None:
    assert message in complaint(sentimon("alerts", "backtest", *args))


def test_who_reads_only_the_first_lines_ends_it_quietly(bare: Path) -> None:
    counts_file(bare)
    done = ran("alerts", "backtest", "--csv", "-", "--json", cwd=bare, stdin=(bare / "counts.csv").read_bytes())
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 2880)
    closed = ran("alerts", "backtest", "--csv", "-", "--json", cwd=bare, preexec_fn=_close_input)
    assert closed.returncode == 1
    assert "standard input is closed" in one_line(closed.stderr)


def _close_input() -> None:
    import os

    os.close(0)


# --- a brand ----------------------------------------------------------------------------------------------------------


def steady(seed: int = 5, **more: Any) -> list[Mention]:
    """Two weeks in which a quarter of the posts are negative."""
    dice = random.Random(seed)
    texts = ["awful weather at acme", "love acme", "acme opened a shop", "acme sells tea"]
    return [
        mention(number, dice.choice(texts), START + dice.random() * 14 * DAY, author=f"regular {number}", **more)
        for number in range(14 * 60)
    ]


def complaints(start: datetime = BURST, count: int = 60, seed: int = 6, **more: Any) -> list[Mention]:
    """So many people were charged twice within two hours."""
    dice = random.Random(seed)
    return [
        mention(
            f"c{start:%d%H}-{seed}-{number}",
            f"acme charged twice for order {number}",
            start + dice.random() * 2 * HOUR,
            author=f"customer {seed} {number}",
            **more,
        )
        for number in range(count)
    ]


def fill(folder: Path, *posts: Mention, brand: str = "Acme") -> None:
    with Store(folder / "posts.db") as store:
        keep(store, *posts, brands=[brand])
        judge(store)


def watched(folder: Path, now: datetime = NOW) -> None:
    with Store(folder / "posts.db") as store:
        watch(store, Watching(["negative spike", "volume spike"]), now)


def asked(*args: str) -> Any:
    return told("alerts", "backtest", "--brand", "Acme", *args)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def episodes(found: Any, threshold: float = 4.0) -> list[Any]:
    return next(row["episodes"] for row in found["thresholds"] if row["threshold"] == threshold)


def test_a_brand_is_replayed_at_each_threshold_beside_the_rules_of_others(folder: Path) -> None:
    fill(folder, *steady(), *complaints())
    found = asked(*SPAN)
    assert (found["brand"], found["learning"], found["threshold"], found["minimum"]) == ("Acme", False, 4.0, 5)
    assert (found["since"], found["until"]) == ("2025-06-13T00:00:00Z", "2025-06-16T00:00:00Z")
    assert [row["threshold"] for row in found["thresholds"]] == list(THRESHOLDS)
    assert all(row["alerts"] == len(row["episodes"]) for row in found["thresholds"])
    numbers = [row["alerts"] for row in found["thresholds"]]
    assert numbers == sorted(numbers, reverse=True)
    whole = [each for each in episodes(found) if each["scope"] == ""]
    (spike,) = [each for each in whole if each["rule"] == "negative spike"]
    assert BURST <= _time(spike["told"][0]) <= BURST + HOUR
    assert spike["observed"] > 40 > 10 * spike["expected"]
    assert (spike["alert"], spike["feedback"]) == (None, None)
    assert [rival["rule"] for rival in found["rivals"]] == [rival.name for rival in RIVALS]
    assert all(rival["alerts"] == len(rival["at"]) for rival in found["rivals"])
    assert any(rival["alerts"] for rival in found["rivals"])


def test_what_it_says_is_what_watching_finds(folder: Path) -> None:
    calm = [mention(f"r{n}", "acme sells tea", START + n * 30 * MINUTE, source="reddit") for n in range(600)]
    few = complaints(BURST - 40 * HOUR, count=14, seed=9, source="reddit")
    fill(folder, *steady(), *calm, *complaints(), *few)
    before = episodes(asked(*SPAN))
    watched(folder)
    with Store(folder / "posts.db") as store:
        alerts = store.alerts.find(Filter())
    found = {(each["rule"], each["scope"], _time(each["starts"]), each["observed"]) for each in before}
    really = {(each.rule, each.scope, each.starts, each.observed): each for each in alerts}
    whole = {key: each for key, each in really.items() if key[:2] == ("negative spike", "")}
    assert len(whole) == 2
    assert whole.keys() <= found <= really.keys()
    for key in really.keys() - found:  # part of one of all of the brand
        assert any(part_of(really[key], each) for each in whole.values())
    assert {"source reddit", "source x"} <= {scope for _, scope, _, _ in really}
    after = episodes(asked(*SPAN))  # with what watching keeps
    assert [{**each, "alert": None} for each in after] == before
    assert {each["alert"] for each in after} == {really[key].id for key in found}


def part_of(alert: Alert, other: Alert) -> bool:
    return alert.starts <= (other.ends or NOW) and other.starts <= (alert.ends or NOW)


def test_what_was_kept_before_late_posts_came_is_not_believed(folder: Path) -> None:
    fill(folder, *steady(), *complaints(NOW + 10 * HOUR))
    watched(folder)
    span = ("--since", f"{NOW:%Y-%m-%d}", "--until", f"{NOW + DAY:%Y-%m-%d}")
    before = episodes(asked(*span))
    late = START + 3 * DAY  # before the midnight of which something is kept
    fill(folder, *(mention(f"late{n}", "awful acme", late + n * 3 * MINUTE, author=f"late {n}") for n in range(1500)))
    with Store(folder / "posts.db") as store:
        assert late + 4 * DAY in store.pasts.days("negative spike", "Acme")
    kept = episodes(asked(*span))
    with Store(folder / "posts.db") as store, store.transaction():
        store.pasts.spoil("Acme", START - DAY)
    assert episodes(asked(*span)) == kept
    assert kept != before


def test_a_story_that_was_told_before_the_span_is_not_told_in_it(folder: Path) -> None:
    midnight = NOW - DAY
    fill(folder, *steady(), *complaints(midnight - 4 * HOUR))
    watched(folder)
    since = midnight + 30 * MINUTE
    with Store(folder / "posts.db") as store:
        found = replay(store, "Acme", since, NOW, lambda start: Reading(), 5)
    assert found is not None
    whole = found.findings["negative spike"][""]
    assert whole[0].at < midnight
    assert any(finding.at > since for finding in whole)
    assert found.told("negative spike", {"negative spike": 4.0}) == []


def test_nothing_is_written(folder: Path) -> None:
    fill(folder, *steady(), *complaints())
    watched(folder)
    tables = counts(folder / "posts.db")
    before = {table: rows(folder / "posts.db", f"SELECT * FROM '{table}'") for table in tables if "fts" not in table}
    asked(*SPAN)
    said(sentimon("alerts", "backtest", "--brand", "Acme", *SPAN, "--threshold", "3"))
    after = {table: rows(folder / "posts.db", f"SELECT * FROM '{table}'") for table in tables if "fts" not in table}
    assert after == before


def test_history_is_learnt_from_and_not_shown(folder: Path) -> None:
    fill(folder, *steady(), *complaints())
    assert episodes(asked("--since", "2025-06-15T12:00", "--until", "2025-06-16")) == []
    assert episodes(asked("--since", "2025-06-10", "--until", f"{BURST:%Y-%m-%dT%H:%M}")) == []
    assert len(episodes(asked("--since", "2025-06-04", "--until", "2025-06-16"))) >= 1
    assert {each["rule"] for each in episodes(asked(*SPAN, "--minimum", "500"))} <= {"volume spike"}


def test_hours_that_were_not_read_are_missing(folder: Path) -> None:
    configure(folder, '[[sources]]\nkind = "file"\nname = "survey"\npath = "posts.csv"')
    fill(folder, *steady(source="file"), *complaints(source="file"))
    assert episodes(asked(*SPAN)) != []
    hours = {"since": BURST - 2 * HOUR, "until": BURST + 4 * HOUR, "state": "missing", "reason": "down"}
    numbers = {"fetched": 0, "stored": 0, "cost": Decimal(0), "cause": "unavailable"}
    with Store(folder / "posts.db") as store, store.transaction():
        store.sources.configured("survey", "file", "1")
        store.sources.cover(Coverage("survey", "", started_at=NOW, **hours, **numbers))  # type: ignore[arg-type]
    assert episodes(asked(*SPAN)) == []


def test_what_was_raised_and_what_the_team_said_is_marked(folder: Path) -> None:
    fill(folder, *steady(), *complaints(), *complaints(BURST - 40 * HOUR, seed=9))
    watched(folder)
    found = asked(*SPAN)
    first, second = (each["alert"] for each in episodes(found) if each["rule"] == "negative spike")
    with Store(folder / "posts.db") as store, store.transaction():
        store.alerts.say(Feedback(first, "ann", NOW, "noise"))
        store.alerts.say(Feedback(second, "ann", NOW, "useful"))
    found = asked(*SPAN)
    assert {each["alert"]: each["feedback"] for each in episodes(found)}[first] == "noise"
    assert {row["alert"]: row["feedback"] for row in found["raised"]}[second] == "useful"
    listed = said(sentimon("alerts", "backtest", "--brand", "acme", *SPAN))
    assert f"alert {first}, noise" in listed
    assert f"alert {second}, useful" in listed
    assert "said: useful" in listed
    assert "4 (now)" in listed
    strict = said(sentimon("alerts", "backtest", "--brand", "acme", *SPAN, "--threshold", "300"))
    assert "At threshold 300: " in strict
    assert f"alert {first} (noise), " in strict
    assert strict.endswith(
        "To save a threshold, write it into the entry of Acme in sentimon.toml:\n  threshold = 300.0\n"
    )


def test_the_brands_own_threshold_is_the_one_that_is_shown(folder: Path) -> None:
    (folder / "sentimon.toml").write_text(
        'database = "posts.db"\n[[brands]]\nname = "Acme"\nquery = "acme"\nthreshold = 5.5\nminimum = 7\n'
        '[[brands]]\nname = "Bolt"\nquery = "bolt"\nrole = "competitor"\n[alerts]\nrules = ["negative spike"]\n'
    )
    fill(folder, *steady())
    fill(folder, *complaints(), brand="Bolt")
    listed = said(sentimon("alerts", "backtest", "--brand", "Acme", *SPAN))
    assert "5.5 (now)" in listed
    assert "of 7 negative posts or more" in listed
    assert "0 alerts in 3 days\n" in listed
    assert "volume spikes are not looked for" in listed
    saved = said(sentimon("alerts", "backtest", "--brand", "Acme", *SPAN, "--minimum", "3"))
    assert saved.endswith("  threshold = 5.5\n  minimum = 3\n")
    fill(folder, mention("b", "bolt", START), brand="Bolt")
    assert "Bolt is a competitor" in said(sentimon("alerts", "backtest", "--brand", "Bolt", *SPAN))


def test_a_brand_without_two_days_of_history_is_told_when_to_ask_again(folder: Path) -> None:
    assert "no brand 'Akme'; did you mean Acme?" in complaint(sentimon("alerts", "backtest", "--brand", "Akme"), 1)
    none = said(sentimon("alerts", "backtest", "--brand", "Acme"))
    assert "There is no rated post on Acme yet; `sentimon backfill --brand Acme --since 30d`" in none
    assert asked(*SPAN)["learning"] is True
    fill(folder, *complaints(NOW - 20 * HOUR))
    young = said(sentimon("alerts", "backtest", "--brand", "Acme", *SPAN))
    assert "of history; 48 hours are needed" in young
    assert "Ask again after 2025-06-17 04:" in young
    assert (asked(*SPAN)["learning"], episodes(asked(*SPAN))) == (True, [])
    grown = said(sentimon("alerts", "backtest", "--brand", "Acme", "--since", "2025-06-13", "--until", "2025-06-19"))
    assert "its posts begin at 2025-06-15 04:" in grown


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--since", "2025-06-16", "--until", "2025-06-13"], "--since must be before --until"),
        (["--since", "2199-01-01"], "--since must be before --until"),
        (["--since", "2020-01-01", "--until", "2025-01-01"], "at most 400d"),
        (["--since", "soon"], "is not a time"),
    ],
)
def test_a_span_that_cannot_be_is_one_line(folder: Path, args: list[str], message: str) -> None:
    assert message in complaint(sentimon("alerts", "backtest", "--brand", "Acme", *args), 2)


def test_posts_without_a_brand_raise_nothing(folder: Path) -> None:
    fill(folder, *complaints(), brand=NO_BRAND)
    assert "raise no alerts" in complaint(sentimon("alerts", "backtest", "--brand", NO_BRAND), 1)
