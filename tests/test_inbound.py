"""Posts that others bring: POST /in/NAME, from a real server on a free port."""

import json
import logging
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import ConfigError
from db.filters import Filter
from db.records import NO_BRAND, Reach
from db.store import Store
from monitor import config, plugins
from monitor.collectors.webhook import Webhook, WebhookOptions
from monitor.status import status_lines, take_status
from monitor.web import inbound
from monitor.web.server import Server
from tests.cli_rig import NOW, ROOT, configure, jsonl, rows, said, sentimon, spawn
from tests.inbound_rig import HEADER, POSTED, SOURCES, TOKEN, Answer, array, bring, kept, row
from tests.support import HOUR, let_go


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    monkeypatch.setattr("monitor.web.app.utc_now", lambda: NOW)
    configure(tmp_path, SOURCES)
    return tmp_path


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    server = Server(config.load(folder / "sentimon.toml", plugins.load(), strict=False))
    server.start()
    yield int(server.url.rpartition(":")[2])
    let_go(server)


# --- what is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", array(row(1), row("2", "what is acme?"))),
        ("application/json; charset=utf-8", json.dumps([row(1), row("2", "what is acme?")], indent=2)),
        ("application/x-ndjson", jsonl(row(1), row("2", "what is acme?"))),
        ("application/jsonl", jsonl(row(1), row("2", "what is acme?")).rstrip()),
        ("Text/CSV; Charset=UTF-8", f'{HEADER}\n1,ann,{POSTED},acme is fine\n2,ann,{POSTED},"what is acme?"\n'),
        ("text/csv", f"{HEADER}\r\n1,ann,{POSTED},acme is fine\r\n2,ann,{POSTED},what is acme?".replace(",", ";")),
        ("text/tab-separated-values", f"{HEADER}\n1,,{POSTED},acme is fine\n2,,{POSTED},what is acme?"),
    ],
)
def test_posts_are_taken_in_every_form_of_the_import(folder: Path, port: int, kind: str, body: str) -> None:
    answer = bring(port, body.replace(",", "\t") if "tab" in kind else body, kind)
    assert (answer.status, answer.told) == (200, {"stored": 2, "known": 0, "matched": 2, "refused": []})
    assert kept(folder) == [("shop", "1", "acme is fine"), ("shop", "2", "what is acme?")]


def test_a_single_object_is_one_post_with_all_its_fields(folder: Path, port: int) -> None:
    more = {"url": "https://shop.example/17", "in_reply_to": "16", "likes": "1,234", "language": "de", "unknown": [1]}
    assert bring(port, json.dumps(row(17, "Acme \U0001f600\0 <b>\ud800", **more))).status == 200
    with Store(folder / "posts.db") as store:
        (match,) = store.mentions.every(Filter())
    mention = match.mention
    assert (match.brand, mention.source, mention.source_id, mention.author) == ("Acme", "shop", "17", "ann")
    assert mention.text == "Acme \U0001f600 <b>�"
    assert (mention.created_at, mention.collected_at) == (NOW - HOUR, NOW)
    assert (mention.url, mention.in_reply_to, mention.language) == ("https://shop.example/17", "16", "de")
    assert mention.reach == Reach(likes=1234)


def test_a_post_keeps_the_source_that_it_names_and_gets_that_of_its_webhook_otherwise(folder: Path, port: int) -> None:
    posts = array(row(1, source="Trustpilot"), row(2, source=None), row(3, source=""), row(4))
    assert bring(port, posts).told["stored"] == 4
    assert bring(port, f"source,{HEADER}\nx,5,a,{POSTED},acme\n,6,a,{POSTED},acme", "text/csv").told["stored"] == 2
    other = "%C3%9Cbler%20Laden%2024/7"
    assert bring(port, array(row(7)), to=other, token="another-token-of-24-chars").status == 200
    assert [(source, id) for source, id, _ in kept(folder)] == [
        ("bler-laden-24-7", "7"),
        ("shop", "2"),
        ("shop", "3"),
        ("shop", "4"),
        ("shop", "6"),
        ("trustpilot", "1"),
        ("x", "5"),
    ]


def test_a_sources_name_becomes_one_that_a_post_can_have() -> None:
    assert inbound.platform_name("shop") == "shop"
    assert inbound.platform_name("My Shop (new)") == "my-shop-new"
    assert inbound.platform_name("日本") == "webhook"
    assert inbound.platform_name("x" * 60) == "x" * 40


def test_bringing_posts_again_stores_nothing_twice_and_keeps_an_edit(folder: Path, port: int, monkeypatch: Any) -> None:
    bring(port, array(row(1), row(2)))
    assert bring(port, array(row(1), row(2), row(3))).told == {"stored": 1, "known": 2, "matched": 1, "refused": []}
    assert len(kept(folder)) == 3


def test_posts_are_counted_under_the_brand_they_name_or_are_given_or_under_none(folder: Path, port: int) -> None:
    bring(port, array(row(1, "acme"), row(2, "nothing"), row(3, "nothing", brand="acme"), row(4, "x", brand="Other")))
    found = rows(folder / "posts.db", "SELECT source_id, brand FROM matches JOIN mentions ON mention_id = mentions.id")
    assert sorted(found) == [("1", "Acme"), ("2", NO_BRAND), ("3", "Acme"), ("4", "Other")]


def test_many_posts_come_in_one_request(folder: Path, port: int) -> None:
    assert bring(port, jsonl(*(row(n) for n in range(1300))), "application/x-ndjson").told["stored"] == 1300
    assert len(kept(folder)) == 1300


def test_requests_at_the_same_time_lose_nothing(folder: Path, port: int) -> None:
    answers: list[Answer] = []

    def work(start: int) -> None:
        for n in range(start, start + 60, 20):
            answers.append(bring(port, array(*(row(m) for m in range(n, n + 20)))))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 300, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} == {200}
    assert sum(answer.told["stored"] for answer in answers) == 300 == len(kept(folder))


# --- what it leaves behind --------------------------------------------------------------------------------------------


def test_no_token_is_in_a_log_or_an_answer(
    folder: Path, port: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [bring(port, array(row(1))), bring(port, b"{", token=f"{TOKEN}-wrong"), bring(port, b"{")]
    told = caplog.text + "".join(capfd.readouterr()) + "".join(f"{each.headers}{each.text}" for each in answers)
    assert "1 posts brought" in told
    assert TOKEN not in told
    assert TOKEN not in repr(WebhookOptions.model_validate({"token": TOKEN}))


def test_answers_carry_the_content_policy_of_the_pages(port: int) -> None:
    for answer in (bring(port, array(row(1))), bring(port, b"", token=None)):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/json"


def test_status_tells_when_it_last_brought_something_and_no_coverage_is_claimed(folder: Path, port: int) -> None:
    settings = config.load(folder / "sentimon.toml", plugins.load(), strict=False)

    def line() -> str:
        with Store(folder / "posts.db") as store:
            told = take_status(settings, store, NOW + HOUR)
        return next(each for each in status_lines(told) if "shop (webhook)" in each)

    assert "not read yet; last read never, next never" in line()
    bring(port, array({"id": 2}))
    assert "last read never" in line()
    bring(port, array(row(1)))
    assert "shop (webhook): ok; last read 2026-03-04T12:00:00Z, next never" in line()
    assert rows(folder / "posts.db", "SELECT count(*) FROM coverage") == [(0,)]


def test_a_run_has_nothing_to_read_from_a_webhook_and_judges_what_it_brought(
    folder: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support import Keywords

    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Keywords())
    configure(folder, SOURCES.split("[[sources]]")[0] + "[[sources]]" + SOURCES.split("[[sources]]")[1])
    bring(port, array(row(1, "acme is awful")))
    told = said(sentimon("run", "--once"))
    assert "collect shop" not in told
    with Store(folder / "posts.db") as store:
        (match,) = store.mentions.every(Filter())
        state = store.sources.state("shop")
    assert match.sentiment == "negative"
    assert state is not None
    assert (state.last_ok_at, state.last_error) == (NOW, None)


def test_a_webhook_has_no_streams_and_one_line_to_explain_it() -> None:
    kind = plugins.load(third_party=False).collectors["webhook"]
    options = kind.options.model_validate({"token": TOKEN})
    assert kind.pushed
    assert list(kind.build(options, []).streams()) == []
    (line,) = kind.explain(options, [])
    assert "/in/NAME" in line
    assert TOKEN not in line


@pytest.mark.parametrize(
    ("token", "says"), [("short-token", "too short"), ("x" * 15, "too short"), ("two words, quite long", "one word")]
)
def test_a_token_that_is_easily_guessed_or_sent_is_refused(token: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        WebhookOptions.model_validate({"token": token})
    assert token not in str(caught.value)


def test_a_missing_token_stops_a_run(folder: Path) -> None:
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE is not set"):
        config.load(folder / "sentimon.toml", plugins.load())


def test_tokens_are_compared_whole() -> None:
    webhook = Webhook(WebhookOptions.model_validate({"token": TOKEN}))
    assert webhook.admits(TOKEN)
    assert not any(webhook.admits(each) for each in ("", TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "\xe9"))


# --- the documentation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["serve", "run"])
def test_the_example_of_the_documentation_works_with_serve_and_with_run(folder: Path, command: str) -> None:
    page = (ROOT / "docs" / "sources-webhook.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown = re.search(r"^    (\{\"stored\".*)$", page, re.MULTILINE)
    entry = "\n".join(line[4:] for line in re.findall(r"^    [\[kint].*$", page, re.MULTILINE)[:4])
    entry = entry.replace('{ env = "SENTIMON_SHOP_TOKEN" }', f'"{TOKEN}"')
    configure(folder, f"{entry}\n[web]\nport = 0\n")
    more = ["--job", "collect"] if command == "run" else []
    process = spawn(command, *more, cwd=folder)
    try:
        line = b""
        while b"http://" not in line:
            line = process.stdout.readline()  # type: ignore[union-attr]
            assert line, process.stderr.read()  # type: ignore[union-attr]
        address = re.search(rb"http://[\d.:]+", line)
        settings = {"SENTIMON": address[0].decode() if address else "", "SENTIMON_SHOP_TOKEN": TOKEN}
        done = subprocess.run(
            ["bash", "-c", example],
            env={**os.environ, **settings, "no_proxy": "127.0.0.1"},  # noqa: TID251
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        process.terminate()
        _, complaints = process.communicate(timeout=30)
    assert done.returncode == 0, done.stderr
    assert shown is not None
    assert done.stdout == shown[1]
    assert kept(folder) == [("shop", "17", "Acme was down, again")]
    assert TOKEN.encode() not in complaints
