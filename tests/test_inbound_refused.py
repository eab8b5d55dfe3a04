"""What POST /in/NAME does not take: wrong rows, bodies, tokens, names, methods, sizes and types."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store
from monitor import config, plugins
from monitor.web import inbound
from monitor.web.server import Server
from tests.cli_rig import NOW, configure, corrupt, jsonl
from tests.inbound_rig import HEADER, POSTED, SOURCES, TOKEN, array, begun, bring, kept, row
from tests.support import let_go


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
