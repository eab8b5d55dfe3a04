"""Posts that others bring: POST /in/NAME, from a real server on a free port."""

import http.client
import json
import logging
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
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
from tests.cli_rig import NOW, ROOT, configure, corrupt, jsonl, rows, said, sentimon, spawn
from tests.support import HOUR

TOKEN = "0123456789abcdef-secret"
SOURCES = f"""
[[sources]]
kind = "webhook"
name = "shop"
token = "{TOKEN}"

[[sources]]
kind = "webhook"
name = "Übler Laden 24/7"
token = "another-token-of-24-chars"

[[sources]]
kind = "webhook"
name = "unset"
token = {{ env = "NO_SUCH_VARIABLE" }}

[[sources]]
kind = "file"
name = "feed"
path = "feed.jsonl"

[web]
port = 0
"""
HEADER = "id,author,created_at,text"
POSTED = "2026-03-04T11:00:00Z"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def told(self) -> Any:
        return json.loads(self.text)


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
    server.stop()


def bring(
    port: int,
    body: bytes | str,
    kind: str | None = "application/json",
    to: str = "shop",
    token: str | None = TOKEN,
    method: str = "POST",
    **headers: str,
) -> Answer:
    sent = {"Content-Type": kind} if kind else {}
    sent |= {"Authorization": f"Bearer {token}"} if token else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, f"/in/{to}", body.encode() if isinstance(body, str) else body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())
    finally:
        connection.close()


def begun(port: int, *lines: str) -> socket.socket:
    """A request that is sent by hand."""
    made = socket.create_connection(("127.0.0.1", port), timeout=20)
    made.sendall("".join(f"{line}\r\n" for line in ("POST /in/shop HTTP/1.1\r\nHost: x", *lines, "")).encode())
    return made


def row(id: int | str, text: str = "acme is fine", **more: Any) -> dict[str, Any]:
    return {"id": id, "author": "ann", "created_at": POSTED, "text": text, **more}


def array(*given: Any) -> str:
    return json.dumps(given)


def kept(folder: Path) -> list[tuple[Any, ...]]:
    """Source, id and text of every post."""
    if not (folder / "posts.db").exists():
        return []
    return sorted(rows(folder / "posts.db", "SELECT source, source_id, text FROM mentions"))


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


# --- what is not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "lines"),
    [
        ("application/json", array([1], row(1), None, row(2, ""), row(3, likes="many"), "x", row(4)), [1, 3, 4, 5, 6]),
        ("application/json", '[{"id": NaN}, ' + json.dumps(row(1)) + "," + json.dumps(row(4)) + "]", [1]),
        ("application/x-ndjson", jsonl(row(1)) + "\n{oops\n[1]\n" + jsonl(row(4)) + '{"id": 5}', [3, 4, 6]),
        ("text/csv", f"{HEADER}\n1,ann,{POSTED},acme\n2,ann,never,acme\n3,ann\n4,ann,{POSTED},acme\n", [3, 4]),
    ],
)
def test_rows_that_cannot_be_taken_are_refused_one_by_one(
    folder: Path, port: int, kind: str, body: str, lines: list[int]
) -> None:
    answer = bring(port, body, kind)
    assert (answer.status, answer.told["stored"]) == (200, 2)
    assert [each["line"] for each in answer.told["refused"]] == lines
    assert all(each["why"] and "\n" not in each["why"] for each in answer.told["refused"])
    assert [id for _, id, _ in kept(folder)] == ["1", "4"]


def test_without_one_good_row_nothing_is_stored_and_each_is_told(folder: Path, port: int) -> None:
    answer = bring(port, array(row(1, ""), {"id": 2}))
    assert answer.status == 422
    assert answer.told == {
        "stored": 0,
        "known": 0,
        "matched": 0,
        "refused": [{"line": 1, "why": "text is empty"}, {"line": 2, "why": "author is missing"}],
    }
    assert kept(folder) == []
    with Store(folder / "posts.db") as store:
        assert store.sources.states() == []


def test_of_very_many_refused_rows_the_first_are_named_and_the_rest_counted(folder: Path, port: int) -> None:
    answer = bring(port, "x\n" * 2500 + json.dumps(row(1)), "application/x-ndjson")
    assert answer.status == 200
    assert len(answer.told["refused"]) == 1000
    assert answer.told["refused_more"] == 1500


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("application/json", b"", "not valid JSON"),
        ("application/json", b"[]", "holds no posts"),
        ("application/json", b'[{"id": 1},', "not valid JSON"),
        ("application/json", b"\xff\xfe[", "not valid UTF-8"),
        ("application/json", b"[" * 100_000, "not valid JSON"),
        ("application/json", jsonl(row(1), row(2)).encode(), "send application/x-ndjson"),
        ("application/x-ndjson", b"\n\n", "holds no posts"),
        ("application/x-ndjson", b"[1]", "one JSON array"),
        ("text/csv", b"", "empty"),
        ("text/csv", b"id,text\n1,acme\n", "author, created_at missing"),
        ("text/csv", HEADER.encode(), "holds no posts"),
    ],
)
def test_a_body_that_cannot_be_read_as_a_whole_says_why(
    folder: Path, port: int, kind: str, body: bytes, says: str
) -> None:
    answer = bring(port, body, kind)
    assert answer.status == 422
    assert says in answer.told["error"]
    assert kept(folder) == []


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xe9",
        "Bearer another-token-of-24-chars",
    ],
)
def test_without_the_right_token_nothing_is_taken(folder: Path, port: int, header: str | None) -> None:
    given = {} if header is None else {"Authorization": header}
    answer = bring(port, array(row(1)), token=None, **given)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert kept(folder) == []


def test_the_scheme_may_be_written_in_any_case(port: int) -> None:
    assert bring(port, array(row(1)), token=None, Authorization=f"bearer {TOKEN}").status == 200


def test_what_is_refused_by_its_head_is_refused_before_its_body(port: int) -> None:
    length = "Content-Length: 5000000"
    right, kind = f"Authorization: Bearer {TOKEN}", "Content-Type: application/json"
    for lines, status in (
        ((length, kind, "Authorization: Bearer wrong"), b"401"),
        ((length, right, "Content-Type: image/png"), b"415"),
        (("Content-Length: 10000001", right, kind), b"413"),
    ):
        with begun(port, *lines) as made:  # none of the body is sent
            assert made.recv(100).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("name", ["nowhere", "feed", "unset", "Shop", "", "shop/", "..%2fshop"])
def test_only_webhooks_whose_token_is_set_take_posts(folder: Path, port: int, name: str) -> None:
    answer = bring(port, array(row(1)), to=name)
    assert answer.status == 404
    assert kept(folder) == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_posts_are_only_posted(port: int, method: str) -> None:
    assert bring(port, b"", method=method).status == 405


def test_a_body_of_just_the_limit_is_taken_and_a_byte_more_is_not(folder: Path, port: int) -> None:
    body = array(row(1)).encode()
    padded = body + b" " * (inbound.LARGEST - len(body))
    assert bring(port, padded).status == 200
    with begun(
        port, f"Authorization: Bearer {TOKEN}", "Content-Type: application/json", "Transfer-Encoding: chunked"
    ) as made:
        made.sendall(
            f"{len(padded) + 1:x}\r\n".encode() + array(row(2)).encode() + b" " * (inbound.LARGEST + 1 - len(body))
        )
        assert made.recv(100).startswith(b"HTTP/1.1 413")  # though the request has not ended
    assert [id for _, id, _ in kept(folder)] == ["1"]


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        (None, {}),
        ("application/x-www-form-urlencoded", {}),
        ("text/plain", {}),
        ("multipart/form-data; boundary=x", {}),
        ("text/csv; charset=iso-8859-1", {}),
        ("application/json", {"Content_Encoding": "gzip"}),
    ],
)
def test_other_types_are_refused_with_those_that_are_taken(
    folder: Path, port: int, kind: str | None, headers: dict[str, str]
) -> None:
    answer = bring(port, array(row(1)), kind, **headers)
    assert answer.status == 415
    assert "application/x-ndjson" in answer.told["error"] or "compressed" in answer.told["error"]
    assert kept(folder) == []


def test_a_request_that_breaks_off_stores_nothing_and_is_no_error(
    folder: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    body = jsonl(*(row(n) for n in range(1000))).encode()
    head = (f"Authorization: Bearer {TOKEN}", "Content-Type: application/x-ndjson", f"Content-Length: {len(body)}")
    with begun(port, *head) as made:
        made.sendall(body[:-10])
    assert bring(port, array(row("good"))).status == 200  # the server is still there
    assert [id for _, id, _ in kept(folder)] == ["good"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_database_that_cannot_be_used_is_told_in_a_line(folder: Path, port: int) -> None:
    bring(port, jsonl(*(row(n) for n in range(300))), "application/x-ndjson")
    corrupt(folder / "posts.db")
    answer = bring(port, array(row(1)))
    assert answer.status == 503
    assert answer.text.count("\n") == 1


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
