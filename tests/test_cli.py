"""The commands, as a person or a script calls them."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import click
import pytest

from db.desk import LEVELS
from db.store import Store
from monitor import shapes
from monitor.cli import COMMANDS, main
from monitor.cli.tour import TOUR
from monitor.words import counted
from tests.cli_rig import (
    BUNDLED,
    HEADER,
    complaint,
    configure,
    counts,
    jsonl,
    post,
    ran,
    said,
    sentimon,
    told,
    version_of_bundled,
)
from tests.support import NOW, Keywords

DAY = timedelta(days=1)
TREND_KEYS = {"bucket", "brand", "mentions", "negative", "neutral", "positive", "not_rated", "net_sentiment"}
needs_model = pytest.mark.skipif(version_of_bundled() is None, reason="models/bundled is not in the tree")
needs_version_1 = pytest.mark.skipif(version_of_bundled() != "1", reason="models/bundled holds interim weights")


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's two weeks, read once."""
    folder = tmp_path_factory.mktemp("feed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("models.classifier.load", lambda *_, **__: Keywords(negative=("charged", "refund", "awful")))
        said(sentimon("demo", "--no-serve", "--folder", "demo"))
    return folder / "demo"


@pytest.fixture
def demo(feed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(feed)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    return feed


# --- init and check ---------------------------------------------------------------------------------------------------


def test_init_writes_a_configuration_that_check_accepts(folder: Path) -> None:
    (folder / "sentimon.toml").unlink()
    assert "sentimon.toml written" in said(sentimon("init"))
    assert said(sentimon("check")).startswith("ok    brand acme (own)")


def test_init_never_overwrites(folder: Path) -> None:
    before = (folder / "sentimon.toml").read_bytes()
    result = sentimon("init")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert (folder / "sentimon.toml").read_bytes() == before


def test_check_says_what_would_run(folder: Path) -> None:
    configure(folder, '[[sources]]\nkind = "file"\npath = "posts.csv"', '[[channels]]\nkind = "console"')
    (folder / "posts.csv").write_text("")
    lines = said(sentimon("check")).splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["ok"] * 5
    assert "      account on x: acmehelp" in lines
    assert f"      file: all of {folder / 'posts.csv'} whenever it changes, matched here" in lines
    assert "ok    model keywords-1" in lines


def test_a_source_that_is_paused_says_how_it_goes_on(folder: Path) -> None:
    configure(folder, '[[sources]]\nkind = "file"\nname = "survey"\npath = "posts.csv"')
    with Store(folder / "posts.db") as store, store.transaction():
        store.sources.configured("survey", "file", "1")
        store.sources.pause("survey", NOW, "the file is refused")
    told = "survey (file): PAUSED: the file is refused; last read never, next after `sentimon resume survey`"
    assert told in said(sentimon("status"))


@pytest.mark.parametrize(
    ("count", "noun", "written"), [(0, "post", "0 posts"), (1, "post", "1 post"), (1146, "post", "1,146 posts")]
)
def test_a_count_is_written_with_its_noun(count: int, noun: str, written: str) -> None:
    assert counted(count, noun) == written


@pytest.mark.parametrize(("name", "why"), [("gone.csv", "no such file"), (".", "is not a file that can be read")])
def test_check_names_a_file_that_is_not_there(folder: Path, name: str, why: str) -> None:
    configure(folder, f'[[sources]]\nkind = "file"\nname = "survey"\npath = "{name}"')
    result = sentimon("check")
    assert result.exit_code == 1
    assert f"WRONG source survey (file, every 5m): {folder / name}: {why}" in result.stdout


def test_check_says_which_secret_is_missing_and_never_shows_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "AAAA-do-not-print-me"
    source = '[[sources]]\nkind = "x"\nbearer_token = { env = "MY_X_TOKEN" }\n'
    configure(folder, source, f'[[channels]]\nurl = "json://127.0.0.1/{secret}"')
    monkeypatch.delenv("MY_X_TOKEN", raising=False)
    lacking = sentimon("check")
    assert lacking.exit_code == 1
    assert "WRONG source x (x, every 5m): missing bearer_token: environment variable MY_X_TOKEN" in lacking.stdout
    monkeypatch.setenv("MY_X_TOKEN", secret)
    complete = said(sentimon("check"))
    assert "      bearer_token: set" in complete.splitlines()
    assert secret not in lacking.output + complete


def test_check_shows_the_search_before_the_secret_is_there(folder: Path) -> None:
    configure(folder, '[[sources]]\nkind = "x"\nbearer_token = { env = "NOT_SET_ANYWHERE" }')
    result = sentimon("check")
    assert result.exit_code == 1
    assert "missing bearer_token: environment variable NOT_SET_ANYWHERE" in result.stdout
    assert "Acme: acme -from:acmehelp -is:retweet" in result.stdout


def test_check_names_a_query_that_a_platform_cannot_express(folder: Path) -> None:
    text = '[[brands]]\nname = "Acme"\nquery = "acm*"\n[[sources]]\nkind = "x"\nbearer_token = "t"\n'
    (folder / "sentimon.toml").write_text(text)
    result = sentimon("check")
    assert result.exit_code == 1
    assert "WRONG source x" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("alerts = false", "alerts = false, and it has no digest"),
        ('escalate_after = "30m"', "it escalates what others were told, and no channel is told at once"),
        ('rules = ["silence"]\n[alerts]\nrules = ["volume spike"]', "its rules (silence) [alerts] watches for none"),
        ("[alerts]\nrules = []", "[alerts] rules is empty, and it has no digest"),
    ],
)
def test_check_names_a_channel_that_is_never_told_anything(folder: Path, settings: str, why: str) -> None:
    configure(folder, f'[[channels]]\nkind = "console"\nname = "here"\n{settings}')
    result = sentimon("check")
    assert result.exit_code == 1
    assert "WRONG channel here (console): is never told " in result.stdout
    assert why in result.stdout


def test_check_notes_an_operator_written_small(folder: Path) -> None:
    (folder / "sentimon.toml").write_text('[[brands]]\nname = "Acme"\nquery = "acme or globex"\nhide = "a and b"\n')
    lines = said(sentimon("check")).splitlines()
    assert "      note: query: `or` is searched as a word; write OR for either" in lines
    assert "      note: hide: `and` is searched as a word; write AND for both" in lines
    assert lines[0].startswith("ok ")


def test_check_says_what_a_channel_is_told(folder: Path) -> None:
    at_once = '[[channels]]\nkind = "console"\nname = "here"\nrules = ["silence"]\nseverity = "high"'
    late = '[[channels]]\nkind = "console"\nname = "boss"\nescalate_after = "30m"\nalerts = true\ndigest = "weekly"'
    configure(folder, at_once, late)
    lines = said(sentimon("check")).splitlines()
    assert "      told of: silence; from high on" in lines
    assert "      only what nobody has taken for 30m after others were told" in lines
    assert "      digest: weekly" in lines


def test_plugins_lists_the_kinds() -> None:
    listed = said(sentimon("plugins")).splitlines()
    assert {"file", "reddit", "x"} <= set(listed[0].removeprefix("sources: ").split(", "))
    assert {"apprise", "console"} <= set(listed[1].removeprefix("channels: ").split(", "))


# --- import -----------------------------------------------------------------------------------------------------------


def test_posts_of_csv_are_stored_once(folder: Path) -> None:
    (folder / "posts.csv").write_text(
        f'{HEADER}\n1,x,ann,2026-03-04T12:00:00Z,"acme, again"\n2,x,bob,2026-03-04,acme?\n'
    )
    assert said(sentimon("import", "posts.csv")).splitlines() == [
        "2 posts added, 0 known already, 0 rows rejected",
        "2 wait for a score: `sentimon run --once` scores them",
    ]
    before = counts(folder / "posts.db")
    assert "0 posts added, 2 known already" in said(sentimon("import", "posts.csv"))
    assert counts(folder / "posts.db") == before


def test_posts_of_jsonl_and_of_standard_input_are_stored(folder: Path) -> None:
    (folder / "posts.jsonl").write_text(jsonl(post(1), post(2)))
    assert "2 posts added" in said(sentimon("import", "posts.jsonl"))
    piped = ran("import", "-", cwd=folder, stdin=jsonl(post(2), post(3)).encode())
    assert piped.stdout.startswith(b"1 post added, 1 known already"), piped
    assert "1 post added" in said(sentimon("import", "-", "--format", "csv", stdin=f"{HEADER}\n4,x,,2026-03-04,acme\n"))


def test_bad_rows_are_told_by_line_and_kept_aside(folder: Path) -> None:
    good, bad = post(1), post(2, created_at="soon")
    (folder / "posts.jsonl").write_text(jsonl(good, bad) + "{half\n" + jsonl(post(3)))
    result = sentimon("import", "posts.jsonl")
    assert "2 posts added, 0 known already, 2 rows rejected" in said(result)
    assert result.stderr.splitlines() == [
        "sentimon: posts.jsonl: line 2: created_at 'soon' is not a time like 2026-01-31T12:00:00Z",
        "sentimon: posts.jsonl: line 3: is not valid JSON",
        "sentimon: posts.jsonl: 2 rows rejected, written to posts.jsonl.rejects.jsonl",
    ]
    kept = [json.loads(line) for line in (folder / "posts.jsonl.rejects.jsonl").read_text().splitlines()]
    assert [(row["line"], row["row"]) for row in kept] == [(2, json.dumps(bad)), (3, "{half")]


def test_an_import_of_nothing_but_bad_rows_has_failed(folder: Path) -> None:
    (folder / "posts.jsonl").write_text("{half\n")
    assert sentimon("import", "posts.jsonl", "--rejects", "bad.jsonl").exit_code == 1
    assert (folder / "bad.jsonl").exists()


def test_brands_come_from_the_row_then_the_option_then_the_text(folder: Path) -> None:
    posts = [post(1, "nothing", brand="Initech"), post(2, "nothing"), post(3, "acme"), post(4, "x", brand="ACME")]
    (folder / "posts.jsonl").write_text(jsonl(*posts[:2]))
    said(sentimon("import", "posts.jsonl", "--brand", "Globex"))
    (folder / "posts.jsonl").write_text(jsonl(*posts[2:], post(5, "nobody")))
    said(sentimon("import", "posts.jsonl"))
    said(sentimon("run", "--once"))
    found = {row["brand"]: row["mentions"] for row in told("trends", "--by", "brand")}
    assert found == {"Initech": 1, "Globex": 1, "Acme": 2, "(none)": 1}


def test_a_brand_that_the_configuration_lacks_is_taken_and_told(folder: Path) -> None:
    (folder / "posts.jsonl").write_text(jsonl(post(1)))
    said(sentimon("import", "posts.jsonl"))
    again = sentimon("import", "posts.jsonl", "--brand", "Acne")
    assert "0 posts added, 1 known already" in again.stdout
    assert "1 that was known is now counted for another brand as well" in again.stdout
    assert "no brand 'Acne': counted under that name; did you mean Acme?" in again.stderr


def test_each_new_brand_of_a_column_is_told_once(folder: Path) -> None:
    named = ["Acne", "ACME", "Initech", "Acne", "(none)", ""]
    (folder / "posts.jsonl").write_text(jsonl(*(post(n, brand=name) for n, name in enumerate(named))))
    result = sentimon("import", "posts.jsonl", "--brand", "Acme")
    assert "6 posts added" in said(result)
    assert result.stderr.splitlines() == [
        "sentimon: sentimon.toml has no brand 'Acne': counted under that name; did you mean Acme?",
        "sentimon: sentimon.toml has no brand 'Initech': counted under that name",
    ]
    (folder / "posts.jsonl").write_text(jsonl(*(post(n, brand=f"Wrong column {n}") for n in range(50))))
    lines = sentimon("import", "posts.jsonl").stderr.splitlines()
    assert (len(lines), lines[-1]) == (21, "sentimon: sentimon.toml lacks 30 more brands of these rows")


# --- export -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_csv_is_defused(folder: Path, text: str) -> None:
    (folder / "posts.jsonl").write_text(jsonl(post(1, text, author=text.strip(), brand="Acme")))
    said(sentimon("import", "posts.jsonl"))
    (row,) = csv.DictReader(io.StringIO(said(sentimon("export")), newline=""))
    assert row["text"] == f"'{text}"
    assert row["author"] == f"'{text.strip()}"


def test_jsonl_gives_back_what_was_imported(folder: Path) -> None:
    text = '=1+1 "quoted", <b>\n\t\u202eevil \U0001f525 acme'
    given = post(1, text, url="https://a.example/1", in_reply_to="0", followers=3, likes=0, reposts=1, replies=2)
    (folder / "posts.jsonl").write_text(jsonl(given))
    said(sentimon("import", "posts.jsonl"))
    said(sentimon("export", "--format", "jsonl", "--output", "out.jsonl"))
    (row,) = map(json.loads, (folder / "out.jsonl").read_text(encoding="utf-8").splitlines())
    assert {key: row[key] for key in given} == given
    assert (row["brand"], row["sentiment"], row["rated"]) == ("Acme", None, None)


def test_an_export_can_be_imported_elsewhere(folder: Path) -> None:
    (folder / "posts.jsonl").write_text(jsonl(*(post(number) for number in range(5))))
    said(sentimon("import", "posts.jsonl"))
    said(sentimon("export", "--output", "out.csv"))
    configure(folder, database="other.db")
    assert "5 posts added, 0 known already, 0 rows rejected" in said(sentimon("import", "out.csv"))


def test_an_export_of_nothing_still_has_a_header(folder: Path) -> None:
    (header,) = said(sentimon("export")).splitlines()
    assert header.split(",") == list(shapes.MATCH_KEYS)


def test_an_export_of_a_brand_and_a_source_minds_no_capitals_and_refuses_what_nobody_knows(folder: Path) -> None:
    (folder / "posts.jsonl").write_text(jsonl(post(1), post(2, source="reddit")))
    said(sentimon("import", "posts.jsonl"))
    found = said(sentimon("export", "--format", "jsonl", "--brand", "aCME", "--source", "Reddit"))
    assert [json.loads(line)["id"] for line in found.splitlines()] == ["2"]
    for option, name, says in (("--brand", "Acne", "did you mean Acme?"), ("--source", "zzz", "there are: reddit, x")):
        line = complaint(sentimon("export", option, name, "--output", "out.csv"), 1)
        assert line == f"sentimon: no {option[2:]} '{name}'; {says}"
    assert not (folder / "out.csv").exists()


# --- questions --------------------------------------------------------------------------------------------------------


def test_trends_count_by_day_unless_told(demo: Path) -> None:
    found = told("trends")
    assert all(row.keys() == TREND_KEYS for row in found)
    assert all(len(row["bucket"]) == 10 for row in found)
    for row in found:
        rated = row["negative"] + row["neutral"] + row["positive"]
        assert row["mentions"] == rated + row["not_rated"]
        net = round((row["positive"] - row["negative"]) / rated, 4) if rated else None
        assert row["net_sentiment"] == net
    assert sum(row["mentions"] for row in found) == counts(demo / "demo.db")["matches"]


def test_trends_carry_the_keys_that_are_asked_for(demo: Path) -> None:
    (by_brand,) = {frozenset(row) for row in told("trends", "--by", "brand")}
    assert by_brand == TREND_KEYS
    assert {row["bucket"] for row in told("trends", "--by", "brand")} == {None}
    found = told("trends", "--by", "week", "--by", "source", "--by", "stage")
    assert {frozenset(row) for row in found} == {frozenset(TREND_KEYS | {"source", "stage"})}
    assert {row["source"] for row in found} == {row["source"] for row in told("mentions", "--limit", "5000")}
    assert sum(row["mentions"] for row in found) == sum(row["mentions"] for row in told("trends", "--by", "hour"))


def test_trends_show_a_table(demo: Path) -> None:
    shown = said(sentimon("trends", "--by", "week", "--brand", "Norvane"))
    assert "net sentiment" in shown
    assert "Norvane" in shown
    assert "Telvo" not in shown


@pytest.mark.parametrize("since", ["2d", "48h", "2880m"])
def test_spans_back_from_now_mean_the_same_in_every_unit(demo: Path, since: str) -> None:
    ids = [row["id"] for row in told("mentions", "--since", since, "--limit", "1000")]
    assert ids
    assert ids == [row["id"] for row in told("mentions", "--since", "2d", "--limit", "1000")]


def test_since_and_until_part_the_posts(demo: Path) -> None:
    posts = told("mentions", "--limit", "5000")
    middle = posts[len(posts) // 2]["created_at"][:10]
    for edge in (middle, f"{middle}T00:00", f"{middle}T02:00+02:00", f"{middle}T00:00:00Z"):
        before = told("mentions", "--until", edge, "--limit", "5000")
        after = told("mentions", "--since", edge, "--limit", "5000")
        assert before
        assert len(before) + len(after) == len(posts)
        assert {row["created_at"] < middle for row in before} == {True}
        assert {row["created_at"] >= middle for row in after} == {True}


def test_alerts_tell_the_spike_and_its_posts(demo: Path) -> None:
    (alert,) = told("alerts")
    assert (alert["brand"], alert["rule"]) == ("Norvane", "negative spike")
    assert alert["observed"] > 5 * alert["expected"]
    known = {(row["source"], row["id"]) for row in told("mentions", "--limit", "5000")}
    assert {(each["source"], each["id"]) for each in alert["posts"]} <= known
    shown = said(sentimon("alerts"))
    assert alert["summary"] in shown
    assert told("alerts", "--brand", "Telvo") == []
    assert said(sentimon("alerts", "--brand", "Telvo")) == "No alerts.\n"


def test_the_queue_holds_the_posts_of_the_alert_and_those_that_ask_the_most_urgent_first(demo: Path) -> None:
    (alert,) = told("alerts")
    cases = told("queue", "--limit", "1000")
    of_alert = [case for case in cases if case["alert"] == alert["id"]]
    assert {(case["source"], case["id"]) for case in of_alert} == {(p["source"], p["id"]) for p in alert["posts"]}
    assert {(case["brand"], case["sentiment"]) for case in of_alert} == {("Norvane", "negative")}
    others = [case for case in cases if case["alert"] is None]
    assert others
    assert {(case["reply"], case["reason"].partition(" (")[0]) for case in others} == {("yes", "asks for an answer")}
    ranks = [LEVELS.index(case["level"]) for case in cases]
    assert ranks == sorted(ranks, reverse=True)
    assert [case["id"] for case in told("queue", "--limit", "3")] == [case["id"] for case in cases[:3]]
    assert f"3 of {len(cases)} posts to answer, the most urgent first" in said(sentimon("queue", "--limit", "3"))


def test_brands_and_sources_are_found_whatever_their_case(demo: Path) -> None:
    shouted = told("trends", "--brand", "NORVANE", "--source", "X")
    assert shouted
    assert shouted == told("trends", "--brand", "Norvane", "--source", "x")


@pytest.mark.parametrize("asking", ["trends", "alerts", "queue", "mentions"])
def test_a_brand_or_source_that_nobody_knows_is_named_with_the_nearest(demo: Path, asking: str) -> None:
    assert "no brand 'norvan'; did you mean Norvane?" in complaint(sentimon(asking, "--brand", "norvan"), 1)
    assert "no source 'myspace'; there are: bluesky" in complaint(sentimon(asking, "--source", "myspace"), 1)


def test_the_queue_counts_what_was_asked_for(demo: Path) -> None:
    reddit = told("queue", "--source", "reddit", "--limit", "100")
    assert f"1 of {len(reddit)} posts" in said(sentimon("queue", "--source", "reddit", "--limit", "1"))


def test_alerts_of_a_source_have_posts_from_there(demo: Path) -> None:
    sources = {post["source"] for alert in told("alerts") for post in alert["posts"]}
    assert sources
    for source in ("x", "reddit", "bluesky", "mastodon"):
        assert bool(told("alerts", "--source", source)) == (source in sources)


def test_mentions_are_found_by_words_brand_source_and_sentiment(demo: Path) -> None:
    found = told("mentions", "refund norvane", "--source", "x", "--sentiment", "negative", "--limit", "500")
    assert found
    for row in found:
        assert (row["source"], row["sentiment"]) == ("x", "negative")
        assert "refund" in row["text"].lower()
        assert "norvane" in row["text"].lower()
    assert "refund" in said(sentimon("mentions", "refund"))
    assert said(sentimon("mentions", "xyzzy")) == "No posts found.\n"


@pytest.mark.parametrize(
    "text", ['"', "*", "a AND", "NEAR(", "text:x", "-", "'", "%", "(", "a OR", '"half', "\U0001f525"]
)
def test_whatever_is_searched_for_is_taken_as_words(demo: Path, text: str) -> None:
    said(sentimon("mentions", "--", text))


def test_status_in_words_and_in_json_carries_the_same_facts(demo: Path) -> None:
    status = told("status")
    shown = said(sentimon("status"))
    assert f"{status['posts']} posts stored, 0 wait for a score, {status['waiting_for_answer']} for an answer" in shown
    (source,) = status["sources"]
    assert (source["name"], source["last_error"], source["paused"]) == ("feed", None, None)
    for fact in (
        source["last_ok"],
        source["next_run"],
        *status["open_alerts"],
        *(job["line"] for job in status["jobs"]),
    ):
        assert fact in shown
    jobs = ["collect", "group", "score", "watch", "triage", "survey", "stale", "embed", "notify", "prune"]
    assert [job["job"] for job in status["jobs"]] == jobs


def test_an_empty_database_is_no_error(folder: Path) -> None:
    assert said(sentimon("trends")) == "No scored posts here.\n"
    assert said(sentimon("alerts")) == "No alerts.\n"
    assert said(sentimon("queue")) == "Nothing waits for an answer.\n"
    assert said(sentimon("mentions")) == "No posts found.\n"
    assert "0 posts stored" in said(sentimon("status"))
    for question in ("trends", "alerts", "queue", "mentions"):
        assert told(question) == []


def test_a_post_cannot_rewrite_the_terminal(folder: Path) -> None:
    evil = "acme \x1b[2J\x1b]0;owned\x07 \u202e[bold red]x[/]"
    (folder / "posts.jsonl").write_text(jsonl(post(1, evil, author="\x1b[31mred"), post(2, "x", brand="\x1b[2Jx")))
    said(sentimon("import", "posts.jsonl"))
    said(sentimon("run", "--once"))
    for command in ("mentions", "trends", "status"):
        shown = said(sentimon(command))
        assert not {ch for ch in shown if not ch.isprintable()} - {"\n"}
    assert "[bold red]x[/]" in said(sentimon("mentions"))
    assert json.loads(said(sentimon("mentions", "owned", "--json")))[0]["text"] == evil


# --- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_as_the_tour_does(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help
    assert command.help.splitlines()[0] == TOUR[name]
    assert [each.name for each in command.params if isinstance(each, click.Option) and not each.help] == []
    assert TOUR[name].split()[0] in said(sentimon(name, "--help"))


def test_the_tour_shows_every_command_and_no_other() -> None:
    assert list(TOUR) == list(COMMANDS)
    shown = said(sentimon("--help"))
    assert all(f"\n  {name} " in shown for name in COMMANDS)


def test_the_bundled_model_is_whole_if_it_is_there() -> None:
    if version_of_bundled() is not None:
        assert (BUNDLED / "model.safetensors").stat().st_size > 1_000_000
