"""The first look at a name: whatever answers is read, judged and shown, and nothing stays behind."""

import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from db.errors import InputError, NotAuthorised, RateLimited, SourceUnavailable
from db.filters import Filter
from db.records import Batch, Mention, Position
from db.store import Store
from jobs.collect import collect
from jobs.collector import Meter
from jobs.source import Source
from models.brand import Brand
from monitor.first_look import CUT, FirstLook, wants_key
from monitor.plugins import CollectorKind, Kinds
from tests.cli_rig import complaint, configure, said, sentimon, spawn, told, wait_until
from tests.support import HOUR, NOW, Keywords, Script, batch, brand, mention, rows

SECRET = "hush-hush"


class Options(BaseModel, extra="forbid"):
    word: str
    token: SecretStr | None = None


class Keyed(BaseModel, extra="forbid"):
    token: SecretStr | None
    page: int = 1


def kind(name: str, *steps: Batch | BaseException, streams: Sequence[str] = ("all",), **more: Any) -> CollectorKind:
    """A kind that plays these steps, on each of its streams."""

    def build(options: Options, brands: Sequence[Brand]) -> Script:
        return Script({stream: list(steps) for stream in streams})

    given = {"first_look": lambda word: {"word": word, "token": SECRET}, "build": build} | more
    return CollectorKind(name, Options, explain=lambda options, brands: [], **given)


def posts(source: str, *texts: str, at: datetime | None = None, **more: Any) -> list[Mention]:
    """Posts of the last hours, the newest first, by the clock on the wall, which commands go by."""
    newest = at or datetime.now(UTC) - timedelta(minutes=5)
    return [mention(f"{source}-{n}", text, newest - n * HOUR, source, **more) for n, text in enumerate(texts)]


def last(*mentions: Mention) -> Batch:
    return batch(*mentions, cursor="end")


Install = Callable[..., None]


@pytest.fixture
def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Let these kinds be all that there are, in a folder without a configuration; temporary files go to "tmp"."""
    (folder / "sentimon.toml").unlink()
    (folder / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))

    def only(*kinds: CollectorKind) -> None:
        monkeypatch.setattr("monitor.plugins.load", lambda: Kinds({each.kind: each for each in kinds}, {}))

    return only


def left_behind(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "tmp")


def test_what_the_sources_have_on_a_name_is_judged_and_shown(install: Install, folder: Path) -> None:
    news = posts("news", "Acme is awful", "I love Acme", "where to buy Acme", "Acme 12", url="https://news.example/1")
    talk = posts("talk", "acme charged twice", "bolt is fine", "the acme")
    install(kind("news", last(*news)), kind("talk", batch(*talk[:2]), last(*talk[2:])), kind("quiet", last()))
    shown = said(sentimon("try", "Acme"))
    sources = re.findall(r"^ (news|talk|quiet) +(\d+) ", shown, re.MULTILINE)
    assert sources == [("news", "4"), ("talk", "2")]
    formula = "(positive - negative) / (positive + negative + neutral)"
    assert f"Net sentiment -0.17 = {formula}, n = 6" in shown
    assert re.search(r"^ all +6 +2 +3 +1 +0 +-0.17 *$", shown, re.MULTILINE)
    assert re.search(r"^ purchase +1 +0 +1 +0 +0 ", shown, re.MULTILINE)
    negative, positive = shown.partition("Most negative")[2].split("Most positive")
    assert "news, 5 min ago: Acme is awful\n    https://news.example/1" in negative
    assert "talk, 5 min ago: acme charged twice" in negative
    assert "news, 1 h ago: I love Acme" in positive
    assert "`sentimon init`" in shown
    assert left_behind(folder) == []


def test_programs_get_the_same_as_json(install: Install, folder: Path) -> None:
    news = posts("news", "Acme is awful", "12345 acme perhaps", at=NOW)
    shut = SourceUnavailable("shut does not answer; the next run tries again")
    install(kind("news", last(*news)), kind("shut", shut))
    found = told("try", "Acme", "--query", "acme*")
    assert (found["brand"], found["query"], found["kept"]) == ("Acme", "acme*", None)
    assert found["sources"] == [
        {"source": "news", "posts": 2, "since": "2026-03-04T11:00:00Z", "until": "2026-03-04T12:00:00Z"}
    ]
    assert found["problems"] == [{"source": "shut", "problem": "shut does not answer"}]
    assert (found["read"], found["mentions"], found["negative"], found["net_sentiment"]) == (["news"], 2, 1, -0.5)
    assert {each["stage"]: each["mentions"] for each in found["by_stage"]} == {"use": 1, "unsure": 1}
    assert [post["text"] for post in found["most_negative"]] == ["Acme is awful"]
    assert found["most_positive"] == []


def test_the_name_is_looked_for_as_a_phrase_whatever_signs_it_has(install: Install) -> None:
    install(kind("news", last(*posts("news", 'The "Big* Acme" Co', "Acme is big", "big acme"))))
    found = told("try", ' "Big* Acme" ')
    assert found["query"] == '"Big Acme"'
    assert found["mentions"] == 2
    assert told("try", "Big", "--query", "acme NOT co")["mentions"] == 2


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["  "], "the name must not be empty"),
        (["a" * 61], "the name must not be longer than 60 characters"),
        (["a\nb"], "the name must not hold line breaks"),
        (["***"], "query: "),
        (["Acme", "--query", "(acme"], "unbalanced parenthesis"),
        (["Acme", "--keep", "none/such.db"], "cannot open the database"),
        (["Acme", "--keep", "tmp"], "tmp: is there already"),
    ],
)
def test_what_cannot_be_looked_for_is_told_in_one_line(install: Install, args: Sequence[str], line: str) -> None:
    install(kind("news", last()))
    assert line in complaint(sentimon("try", *args), 1)


def test_no_more_than_the_limit_is_taken_from_each_source_the_newest_first(install: Install, folder: Path) -> None:
    many = posts("news", *(f"acme {n}" for n in range(10)), *["bolt"] * 5)
    install(
        kind("news", batch(*many[3:5]), batch(*reversed(many[5:]), *many[:3]), AssertionError("read on")),
        kind("talk", last(*posts("talk", "acme"))),
    )
    found = told("try", "acme", "--limit", "4", "--keep", "kept.db")
    assert {each["source"]: each["posts"] for each in found["sources"]} == {"news": 4, "talk": 1}
    kept = {source_id for (source_id,) in rows(folder / "kept.db", "SELECT source_id FROM mentions")}
    assert kept == {"news-3", "news-4", "news-0", "news-1", "talk-0"}


def test_sources_that_cannot_be_read_are_named_and_the_others_shown(install: Install) -> None:
    wait = RateLimited("slow asks to wait until 12:00 UTC", datetime.now(UTC) + HOUR)
    partly = batch(*posts("partly", "acme is awful"))
    install(
        kind("bad", first_look=lambda name: {"word": 7, "token": SECRET}),
        kind("bug", KeyError(SECRET)),
        kind("partly", partly, SourceUnavailable("partly stopped")),
        kind("shut", NotAuthorised("shut refuses to be read (403)")),
        kind("slow", wait),
        kind("unable", build=refusing),
    )
    result = sentimon("try", "Acme")
    shown = said(result)
    assert "Not read: bad: it cannot be asked for this name (word: Input should be a valid string)" in shown
    assert "Not read: bug: a bug ended it (KeyError); please report it" in shown
    assert "Not read to the end: partly: partly stopped" in shown
    assert "Not read: shut: shut refuses to be read (403)" in shown
    assert "Not read: slow: slow asks to wait until 12:00 UTC" in shown
    assert "Not read: unable: this name has no tag" in shown
    assert "n = 1" in shown
    assert SECRET not in result.output
    assert "Traceback" not in result.output


def refusing(options: Options, brands: Sequence[Brand]) -> Any:
    raise InputError("this name has no tag")


def test_it_fails_only_where_nothing_could_be_read_at_all(install: Install, folder: Path) -> None:
    install(kind("shut", SourceUnavailable("shut does not answer")), kind("bug", ValueError("x")))
    result = sentimon("try", "Acme", "--keep", "kept.db")
    assert result.exit_code == 1
    assert "Not read: shut: shut does not answer" in result.stdout
    assert "No source could be read: is this machine connected to the internet?" in result.stdout
    assert left_behind(folder) == []

    install(kind("shut", SourceUnavailable("shut does not answer")), kind("news", last(*posts("news", "bolt"))))
    assert "Nothing found on news; try other words with --query." in said(sentimon("try", "Acme"))


def test_kinds_without_a_first_look_are_not_asked_and_those_with_keys_are_named(install: Install) -> None:
    locked = CollectorKind("locked", Keyed, refusing, lambda options, brands: [])
    install(locked)
    assert "no source that needs no key is installed" in complaint(sentimon("try", "Acme"), 1)
    install(locked, kind("news", last(*posts("news", "acme"))))
    assert "without a key: news; with one: locked" in said(sentimon("try", "Acme"))
    assert not wants_key(kind("news"))


def test_kept_posts_are_a_database_to_go_on_with(install: Install, folder: Path) -> None:
    news = kind("news", batch(*posts("news", "acme is awful", "love acme", "acme")), streams=("a", "b"))
    install(news)
    assert "kept.db holds these posts" in said(sentimon("try", "Acme", "--keep", "kept.db", "--limit", "2"))
    assert [name for name in left_behind(folder) if not name.endswith(("-wal", "-shm"))] == ["kept.db"]
    assert "kept.db: is there already" in complaint(sentimon("try", "Acme", "--keep", "kept.db"), 1)

    configure(folder, database="kept.db")
    (trend,) = told("trends", "--by", "source")
    assert (trend["brand"], trend["mentions"], trend["net_sentiment"]) == ("Acme", 2, 0.0)
    with Store(folder / "kept.db") as store:  # it says what it does not have, and a live run reads it
        missing = rows(
            folder / "kept.db", "SELECT stream, cause, reason FROM coverage WHERE state = 'missing' ORDER BY 1"
        )
        assert missing == [("a", "capped", CUT), ("b", "capped", CUT)]
        live = Source("news", "news", news.build(Options(word="acme"), []), "1")
        assert collect(store, live, [brand()], datetime.now(UTC)).counts["stored"] == 1


def test_strangers_cannot_write_on_the_terminal(install: Install) -> None:
    hostile = posts("news", "acme is awful \x1b[2J\x07 [red]", url="javascript:alert(1)")
    more = posts("talk", "acme is awful\x00\u202e", url="https://talk.example/\x1b[2J")
    install(kind("news", last(*hostile)), kind("talk", last(*more)), kind("bad", SourceUnavailable("no\x1b[2J way")))
    shown = said(sentimon("try", "Acme"))
    assert "[red]" in shown
    assert not {"\x1b", "\x07", "\x00", "\u202e"} & set(shown)
    assert "javascript" not in shown


def test_the_same_text_is_shown_once(install: Install) -> None:
    install(kind("news", last(*posts("news", *["Acme is  awful"] * 5, "acme is awful", "acme, awful"))))
    found = told("try", "Acme")
    assert found["negative"] == 7
    assert [post["text"] for post in found["most_negative"]] == ["Acme is  awful", "acme, awful"]


# --- time -----------------------------------------------------------------------------------------------------------


@dataclass
class Stuck:
    """A collector that brings one batch, and waits for an answer that does not come until it is let go."""

    first: Batch
    rest: Batch = field(default_factory=last)
    waiting: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def streams(self) -> Sequence[str]:
        return ["all"]

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        try:
            yield self.first
            self.waiting.set()
            self.free.wait()
            yield self.rest
        finally:
            self.over.set()


def test_a_source_that_is_not_done_in_time_is_named_and_left_and_stores_nothing_more(tmp_path: Path) -> None:
    stuck = Stuck(batch(*posts("slow", "acme is awful")), last(*posts("late", "acme")))
    kinds = [kind("news", last(*posts("news", "acme"))), kind("slow", build=lambda options, brands: stuck)]
    path = tmp_path / "look.db"
    with Store(path) as store:
        look = FirstLook(Kinds({each.kind: each for each in kinds}, {}), brand(), path, 200, NOW, deadline=0)
        assert stuck.waiting.wait(30)
        assert wait_until(30, lambda: look._done.qsize() == 1)
        news, slow = look.readings()
        assert (news.problem, news.answered) == (None, True)
        assert slow.problem == "was not done within 0 seconds"
        stuck.free.set()
        assert stuck.over.wait(30)
        assert sorted(match.mention.source for match in store.mentions.every(Filter())) == ["news", "slow"]


def test_sources_are_read_side_by_side(tmp_path: Path) -> None:
    meeting = threading.Barrier(2)

    def build(options: Options, brands: Sequence[Brand]) -> Script:
        meeting.wait(30)  # each waits for the other
        return Script({"all": [last(*posts(options.word, "acme"))]})

    kinds = {name: kind(name, build=build, first_look=lambda word, name=name: {"word": name}) for name in ("a", "b")}
    path = tmp_path / "look.db"
    with Store(path) as store:
        readings = FirstLook(Kinds(kinds, {}), brand(), path, 200, NOW).readings()
        assert [(reading.kind, reading.problem) for reading in readings] == [("a", None), ("b", None)]
        assert store.mentions.counts_by_source() == {"a": 1, "b": 1}


def stuck_command(marker: str) -> None:
    """The command in a process of its own, whose one source never answers."""
    import models.classifier
    from monitor import plugins
    from monitor.cli import main

    def build(options: Options, brands: Sequence[Brand]) -> Stuck:
        Path(marker).touch()
        return Stuck(batch(*posts("slow", "acme")))

    found = Kinds({"slow": kind("slow", build=build)}, {})
    plugins.load = lambda third_party=True: found  # type: ignore[assignment]
    models.classifier.load = lambda *_, **__: Keywords()  # type: ignore[assignment]
    main(["try", "Acme"], prog_name="sentimon")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_at_once_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "tmp").mkdir()
    marker = tmp_path / "reading"
    code = f"import tempfile; tempfile.tempdir = {str(tmp_path / 'tmp')!r}\n"
    code += f"from tests.test_try import stuck_command; stuck_command({str(marker)!r})"
    process = spawn(cwd=tmp_path, command=(sys.executable, "-c", code))
    assert wait_until(60, lambda: marker.exists() and bool(stored(tmp_path / "tmp")))
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, b"")
    assert error.decode().split() == ["Aborted!"]
    assert left_behind(tmp_path) == ["reading"]


def test_ctrl_c_is_heard_also_where_another_thread_takes_the_signal(tmp_path: Path) -> None:
    """Python tells the main thread, but wakes no wait of it that has begun."""
    code = """
import signal, threading, time
from tests.test_try import stuck_command
def later():
    time.sleep(3)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
threading.Thread(target=later, daemon=True).start()
stuck_command("reading")
"""
    process = spawn(cwd=tmp_path, command=(sys.executable, "-c", code))
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error.decode().split()) == (1, ["Aborted!"])


def stored(folder: Path) -> Mapping[str, int]:
    """The posts that a first look at work has stored."""
    for path in folder.rglob("try.db"):
        with Store(path) as store:
            return store.mentions.counts_by_source()
    return {}
