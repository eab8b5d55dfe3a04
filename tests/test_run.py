"""`sentimon run`: once, on schedule, until it is stopped, and never twice on one database."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.app import utc_now
from monitor.cli.demo import _prepare
from tests.cli_rig import (
    COMMAND,
    QUICKLY,
    complaint,
    configure,
    counts,
    jsonl,
    one_line,
    post,
    said,
    sentimon,
    spawn,
    wait_until,
)
from tests.support import Hook, Keywords

FILE = '[[sources]]\nkind = "file"\nname = "feed"\npath = "feed.jsonl"\nevery = "30s"\n[web]\nport = 0'
TEN = 10.0  # seconds, within which SIGTERM must end everything

# A model that takes minutes and says when it has begun.
BUSY = QUICKLY.replace(
    "classifier.load =",
    """
import pathlib, time
class Slow(Keywords):
    def score(self, posts):
        pathlib.Path('busy').touch()
        end = time.monotonic() + 120
        while time.monotonic() < end:
            sum(range(10_000))
classifier.load = lambda *_, **__: Slow()
unused =""",
)
# With less patience for its jobs than the seven seconds of ten that they are given.
HURRIED = BUSY.replace("from monitor.cli", "from jobs import schedule\nschedule.LAST_WORD = 1.0\nfrom monitor.cli")
# A page that takes minutes, beside a job that waits rather than computes.
HELD = BUSY.replace("sum(range(10_000))", "time.sleep(0.1)").replace(
    "from monitor.cli",
    """
def hold(*_):
    pathlib.Path('held').touch()
    time.sleep(120)
from monitor.web import status_page
status_page.take_status = hold
from monitor.cli""",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Keywords())
    configure(tmp_path, FILE)
    (tmp_path / "feed.jsonl").write_text(jsonl(*(post(number, "acme is awful") for number in range(20))))
    return tmp_path


class Running:
    """`sentimon run` in a process of its own, its output in files."""

    def __init__(self, folder: Path, code: str, *args: str) -> None:
        self._out = folder / "out.txt"
        self._err = folder / "err.txt"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [COMMAND[0], "-c", code]
            self.process = spawn("run", *args, cwd=folder, command=command, stdout=out, stderr=err)

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def started(self) -> None:
        """Wait until it is at work."""
        assert wait_until(30, lambda: "jobs on schedule" in self.out or self.process.poll() is not None)
        assert self.process.poll() is None, self.err

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal; say how long it took to end."""
        began = time.monotonic()
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return time.monotonic() - began


@pytest.fixture
def running(folder: Path) -> Iterator[Running]:
    process = Running(folder, QUICKLY)
    yield process
    if process.process.poll() is None:
        process.process.kill()
        process.process.wait()


def test_once_runs_each_job_and_says_a_line_about_it(folder: Path) -> None:
    lines = said(sentimon("run", "--once")).splitlines()
    assert [re.sub(r" \(\d+\.\d s\)$", "", line) for line in lines] == [
        "collect feed: 20 fetched, 20 stored, 0 known, 20 matched",
        "group: 20 looked at, 0 copies",
        "score: 20 rated, 0 not rated",
        "watch: 1 brand, 0 opened, 0 updated, 0 queued",
        "triage: 0 opened, 0 reopened, 0 woken, 0 leases ended, 0 dismissed",
        "survey: 1 brand, 0 opened, 0 updated",
        "stale: 0 opened, 0 closed",
        "embed: 0 embedded",
        "notify: 0 sent, 0 failed",
        "reply: 0 sent, 0 failed, 0 unknown",
        "prune: 0 aged, 0 records",
    ]
    before = counts(folder / "posts.db")
    again = said(sentimon("run", "--once")).splitlines()
    assert again[0].startswith("collect feed: 0 fetched, 0 stored, 0 known, 0 matched")
    after = counts(folder / "posts.db")
    assert {table for table in after if after[table] != before[table]} == {"job_runs", "coverage"}


def test_jobs_can_be_run_by_themselves(folder: Path) -> None:
    assert [line.split()[0] for line in said(sentimon("run", "--once", "--job", "collect")).splitlines()] == ["collect"]
    assert "20 wait for a score" in said(sentimon("status"))
    assert "score: 20 rated" in said(sentimon("run", "--once", "--job", "score", "--job", "watch"))


def test_a_job_that_fails_fails_the_run_but_not_the_jobs_after_it(folder: Path) -> None:
    (folder / "feed.jsonl").unlink()
    result = sentimon("run", "--once")
    assert result.exit_code == 1
    assert one_line(result.stderr).startswith("collect feed: ")
    jobs = ["group", "score", "watch", "triage", "survey", "stale", "embed", "notify", "reply", "prune"]
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == jobs


def test_sigterm_ends_an_idle_run_at_once(folder: Path, running: Running) -> None:
    running.started()
    assert wait_until(20, lambda: "INFO jobs.schedule: score: 20 rated" in running.err)
    assert running.end() < TEN / 2
    assert running.process.returncode == 0
    assert running.out.splitlines()[-1] == "stopped"
    assert "Traceback" not in running.err
    counts(folder / "posts.db")


def test_ctrl_c_ends_it_the_same_way(running: Running) -> None:
    running.started()
    assert running.end(signal.SIGINT) < TEN
    assert running.process.returncode == 0
    assert "Traceback" not in running.err


def test_what_a_run_collects_is_served_while_it_runs(running: Running) -> None:
    running.started()
    (url,) = re.findall(r"http://\S+", running.out)

    def posts() -> int:
        with urllib.request.urlopen(f"{url}/status.json", timeout=10) as answer:
            return int(json.load(answer)["status"]["posts"])

    assert wait_until(20, lambda: posts() == 20), running.err
    # The posts are there a moment before the line is.
    assert wait_until(20, lambda: "INFO jobs.schedule: collect feed: 20 fetched" in running.err), running.err


def test_sigterm_ends_a_run_that_is_busy_scoring(folder: Path) -> None:
    said(sentimon("run", "--once", "--job", "collect"))
    process = Running(folder, HURRIED, "--no-serve")
    assert wait_until(30, (folder / "busy").exists), process.err
    assert process.end() < TEN / 2
    assert process.process.returncode == 0
    assert process.out.splitlines()[-1] == "stopped; a request was cut off, it is made again at the next start"
    assert "Traceback" not in process.err
    counts(folder / "posts.db")
    assert "score: 20 rated" in said(sentimon("run", "--once"))


def test_a_job_at_work_and_a_page_in_flight_together_end_within_ten_seconds(folder: Path) -> None:
    said(sentimon("run", "--once", "--job", "collect"))
    process = Running(folder, HELD)
    process.started()
    (host, port) = re.findall(r"http://([\d.]+):(\d+)", process.out)[0]
    with socket.create_connection((host, int(port)), timeout=10) as visitor:
        visitor.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wait_until(30, lambda: (folder / "busy").exists() and (folder / "held").exists()), process.err
        assert process.end() < TEN
    assert process.process.returncode == 0
    assert process.out.splitlines()[-1].startswith("stopped; ")
    counts(folder / "posts.db")


def test_two_runs_on_one_database_are_refused(folder: Path, running: Running) -> None:
    running.started()
    for args in (["run", "--once"], ["run", "--port", "0"]):
        line = complaint(sentimon(*args), 1)
        assert line.endswith("posts.db.lock: `sentimon run` is at work on this database already; stop it first")
    assert wait_until(20, lambda: said(sentimon("status")).startswith("20 posts stored"))  # questions are answered
    running.end(signal.SIGKILL)
    assert wait_until(5, lambda: sentimon("run", "--once").exit_code == 0)  # the lock goes with its process


def test_a_killed_run_leaves_nothing_half_done(folder: Path) -> None:
    said(sentimon("run", "--once", "--job", "collect"))
    process = Running(folder, BUSY, "--no-serve")
    assert wait_until(30, (folder / "busy").exists), process.err
    process.end(signal.SIGKILL)
    assert counts(folder / "posts.db")["scores"] == 0
    assert "score: 20 rated" in said(sentimon("run", "--once"))


def test_an_alert_reaches_the_channel_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = Keywords(negative=("charged", "refund", "awful"))
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: words)
    os.mkdir("demo")
    _prepare(Path("demo"), utc_now())
    with Hook() as hook:
        text = Path("demo/sentimon.toml").read_text().replace('kind = "console"', f'url = "{hook.url()}"')
        Path("demo/sentimon.toml").write_text(text)
        assert "notify: 1 sent, 0 failed" in said(sentimon("run", "--once", "--config", "demo/sentimon.toml"))
        assert "notify: 0 sent, 0 failed" in said(sentimon("run", "--once", "--config", "demo/sentimon.toml"))
    (received,) = hook.received
    assert received.body["title"] == "Negative spike: Norvane"
    assert "negative posts in 3 h" in received.body["message"]
