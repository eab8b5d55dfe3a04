import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import InputError, SourceUnavailable
from db.records import Batch, Position, Reach
from monitor.collectors.file import (
    BATCH,
    FileCollector,
    FileOptions,
    Reject,
    Row,
    guess_format,
    read,
    register_collectors,
)
from monitor.plugins import CollectorKind

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HEADER = "id,source,author,created_at,text"


class NoBudget:
    def left(self) -> Decimal | None:
        return None

    def reserve(self, most: Decimal) -> None:
        pytest.fail("a file costs nothing")

    def settle(self, actual: Decimal) -> None:
        pytest.fail("a file costs nothing")


def jsonl(*objects: object) -> list[Row | Reject]:
    return list(read(io.BytesIO("".join(json.dumps(o) + "\n" for o in objects).encode()), "jsonl", NOW))


def csv(text: str | bytes) -> list[Row | Reject]:
    return list(read(io.BytesIO(text.encode() if isinstance(text, str) else text), "csv", NOW))


def post(**changes: Any) -> dict[str, Any]:
    base = {"id": "1", "source": "x", "author": "ann", "created_at": "2026-11-20T10:00:00Z", "text": "Acme is fine"}
    return {**base, **changes}


def row(**changes: Any) -> Row:
    (only,) = jsonl(post(**changes))
    assert isinstance(only, Row), only
    return only


def reason(**changes: Any) -> str:
    (only,) = jsonl(post(**changes))
    assert isinstance(only, Reject), only
    return only.reason


def test_a_json_line_becomes_a_mention_with_every_field() -> None:
    read_row = row(
        id=17,
        source=" X ",
        url="https://example.org/17",
        brand="Acme",
        in_reply_to="16",
        followers="1,234",
        likes=5,
        reposts="12.0",
        replies="",
        language="en-GB",
    )
    mention = read_row.mention
    assert (read_row.line, read_row.brand) == (1, "Acme")
    assert (mention.source, mention.source_id, mention.author) == ("x", "17", "ann")
    assert (mention.text, mention.url, mention.in_reply_to) == ("Acme is fine", "https://example.org/17", "16")
    assert mention.created_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert mention.collected_at == NOW
    assert mention.reach == Reach(followers=1234, likes=5, reposts=12, replies=None)
    assert mention.language == "en"


def test_a_csv_row_becomes_the_same_mention_as_its_json_line() -> None:
    lines = f"\ufeff{HEADER},likes,unknown\n1,x,ann,2026-11-20T10:00:00Z,Acme is fine,,whatever\n"
    assert csv(lines)[0] == Row(2, row().mention, None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-20T10:00:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20 10:00:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_utc_and_any_other_is_turned_into_it(written: str, meant: datetime) -> None:
    created_at = row(created_at=written).mention.created_at
    assert (created_at, created_at.utcoffset()) == (meant, timedelta(0))


@pytest.mark.parametrize("written", ["yesterday", "20/11/2026", 1763632800, "0001-01-01T00:00:00+14:00", True])
def test_what_is_no_iso_time_is_rejected(written: object) -> None:
    assert "created_at" in reason(created_at=written)


def test_a_time_more_than_a_day_ahead_is_rejected() -> None:
    assert "future" in reason(created_at=(NOW + timedelta(hours=25)).isoformat())
    assert row(created_at=(NOW + timedelta(hours=23)).isoformat())


@pytest.mark.parametrize("name", ["id", "source", "author", "created_at", "text"])
def test_a_missing_field_is_named(name: str) -> None:
    (only,) = jsonl({key: value for key, value in post().items() if key != name})
    assert isinstance(only, Reject)
    assert only.reason == f"{name} is missing"


@pytest.mark.parametrize("empty", ["", "  \n", None])
def test_an_empty_text_is_rejected_but_an_empty_author_is_not(empty: str | None) -> None:
    assert reason(text=empty) == "text is empty"
    assert row(author=empty).mention.author is None


@pytest.mark.parametrize(
    ("written", "kept"),
    [(5, "5"), (5.0, "5"), ("2926303.0", "2926303"), ("t3_abc", "t3_abc"), (2**70, str(2**70)), (" 7 ", "7")],
)
def test_ids_are_text_without_what_a_data_frame_added(written: object, kept: str) -> None:
    mention = row(id=written, in_reply_to=written).mention
    assert (mention.source_id, mention.in_reply_to) == (kept, kept)


@pytest.mark.parametrize("written", [1.5, 1.2e18, "1.23E+18", True, ["1"]])
def test_an_id_that_lost_its_digits_is_rejected(written: object) -> None:
    assert reason(id=written).startswith("id ")


@pytest.mark.parametrize("written", [-1, "-1", "many", "1.5", "1,23", "1e3", True, [], "9" * 25, "nan", "٣"])
def test_a_number_that_is_none_is_rejected(written: object) -> None:
    assert reason(likes=written).startswith("likes ")


@pytest.mark.parametrize("written", ["javascript:alert(1)", "ftp://example.org/", "https://", "http:// x", "/a", ""])
def test_a_url_that_is_not_http_is_dropped(written: str) -> None:
    assert row(url=written).mention.url is None


@pytest.mark.parametrize("written", ["", "with space", "ä", "a" * 41, None, 3.5j])
def test_a_source_name_is_short_and_plain(written: object) -> None:
    assert "source" in reason(source=written if not isinstance(written, complex) else {})


def test_text_is_kept_whole_but_without_nul_and_half_characters() -> None:
    assert row(text=" <b>Acme</b>\0 &amp; co\n").mention.text == " <b>Acme</b> &amp; co\n"
    assert row(text="bad \ud83d half").mention.text.encode() == "bad \ufffd half".encode()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{not json", "is not valid JSON"),
        (b'{"id": NaN}', "is not valid JSON"),
        (b'{"id": ' + b"9" * 5000 + b"}", "is not valid JSON"),
        (b'{"a":' * 20_000, "is not valid JSON"),
        (b'"text"', "is not a JSON object"),
        (b"[1]", "is not a JSON object"),
        (b'{"text": "caf\xe9"}', "is not valid UTF-8"),
    ],
)
def test_a_line_that_is_no_json_object_is_rejected_and_the_next_is_read(line: bytes, why: str) -> None:
    good = json.dumps(post()).encode()
    first, bad, last = read([b"\xef\xbb\xbf" + good + b"\r\n", line + b"\n", b"\n", good], "jsonl", NOW)
    assert isinstance(first, Row)
    assert isinstance(bad, Reject)
    assert (bad.line, bad.reason) == (2, why)
    assert isinstance(last, Row)
    assert last.line == 4


def test_a_json_array_is_refused_with_advice() -> None:
    with pytest.raises(InputError, match=r"jq -c"):
        list(read(io.BytesIO(b"\n [\n{}\n]"), "jsonl", NOW))


def test_rows_over_several_lines_keep_line_numbers_right() -> None:
    rows = csv(
        f"{HEADER}\r\n"
        '1,x,ann,2026-11-20T10:00:00Z,"two\r\nlines, ""quoted"""\r\n'
        "\r\n"
        "2,x,,2026-11-20T10:00:00Z,plain\r\n"
        "3,x,,2026-11-20T10:00:00Z\r\n"
        "4,x,,2026-11-20T10:00:00Z,one,too many\r\n"
        "5,x,,2026-11-20T10:00:00Z,last"
    )
    assert [r.line for r in rows] == [2, 5, 6, 7, 8]
    assert isinstance(rows[0], Row)
    assert rows[0].mention.text == 'two\r\nlines, "quoted"'
    assert rows[2] == Reject(6, "has 4 columns where the first line names 5", "3,x,,2026-11-20T10:00:00Z")
    assert isinstance(rows[3], Reject)
    assert isinstance(rows[4], Row)


def test_a_bad_byte_in_csv_costs_its_own_row_only() -> None:
    rows = csv(f"{HEADER}\n1,x,a,2026-11-20,caf".encode() + b"\xe9\n2,x,a,2026-11-20,caf\xc3\xa9\0\n")
    assert rows[0] == Reject(2, "is not valid UTF-8", "1,x,a,2026-11-20,caf\ufffd")
    assert isinstance(rows[1], Row)
    assert rows[1].mention.text == "café"


def test_a_quote_that_never_closes_is_rejected_rather_than_swallowed() -> None:
    rows = csv(f'{HEADER}\n1,x,a,2026-11-20,fine\n2,x,a,2026-11-20,"open\n3,x,a,2026-11-20,lost\n')
    assert isinstance(rows[0], Row)
    assert isinstance(rows[1], Reject)
    assert rows[1].line == 3
    assert "3,x,a" in rows[1].raw


def test_a_field_of_megabytes_is_rejected() -> None:
    rows = csv(f"{HEADER}\n1,x,a,2026-11-20,{'a' * 1_000_000}\n2,x,a,2026-11-20,fine\n")
    assert [type(r) for r in rows] == [Reject, Row]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_are_understood(delimiter: str) -> None:
    rows = csv(f"{HEADER}\n1,x,a,2026-11-20,fine\n".replace(",", delimiter))
    assert isinstance(rows[0], Row)


def test_csv_without_the_wanted_columns_is_refused() -> None:
    with pytest.raises(InputError, match=r"author, text missing.*wanted: id, source"):
        csv("id,source,created_at,body\n")
    with pytest.raises(InputError, match="missing"):
        csv("")
    with pytest.raises(InputError, match="not valid CSV"):
        csv("id,source\rauthor\n")
    with pytest.raises(InputError, match="twice: id"):
        csv(f"{HEADER},ID\n")


@pytest.mark.parametrize(
    ("path", "first", "format"),
    [
        ("a.csv", b"", "csv"),
        ("a.TSV", b"", "csv"),
        ("a.jsonl", b"", "jsonl"),
        ("a.json", b"[", "jsonl"),
        ("a.ndjson", b"", "jsonl"),
        ("-", b'\xef\xbb\xbf {"id"', "jsonl"),
        ("-", b"id,source", "csv"),
        ("posts.txt", b"{", "jsonl"),
    ],
)
def test_the_format_is_guessed_from_the_ending_and_then_from_the_first_character(
    path: str, first: bytes, format: str
) -> None:
    assert guess_format(path, first) == format


@pytest.mark.parametrize("first", [b"\x1f\x8b\x08", b"PK\x03\x04", b"\xff\xfei\0"])
def test_what_is_no_text_file_is_refused_with_advice(first: bytes) -> None:
    with pytest.raises(InputError, match=r"unpack|save it as"):
        guess_format("posts.csv", first)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match="csv or jsonl"):
        read([], "xml", NOW)


def test_reading_never_runs_ahead_of_what_is_asked_for() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield json.dumps(post(id=taken)).encode()

    rows = read(endless(), "jsonl", NOW)
    assert [next(rows).line for _ in range(3)] == [1, 2, 3]
    assert taken == 3


def test_an_endless_line_is_cut_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.collectors.file.LONGEST_LINE", 200)
    rows = jsonl(post(text="a" * 1000), post())
    assert [(type(r), r.line) for r in rows] == [(Reject, 1), (Row, 2)]
    assert isinstance(rows[0], Reject)
    assert len(rows[0].raw) == 200


def test_fifteen_thousand_rows_are_read_in_about_a_second() -> None:
    lines = [f"{HEADER},followers\n".encode()]
    lines += [f'{n},x,ann,2026-11-20T10:00:00Z,"Acme, number {n}","{n:,}"\n'.encode() for n in range(1, 15_001)]
    started = time.process_time()
    assert sum(isinstance(r, Row) for r in read(lines, "csv", NOW)) == 15_000
    assert time.process_time() - started < 2


# --- as a scheduled source


def collect(path: Path, cursor: str | None = None) -> list[Batch]:
    return list(FileCollector(str(path)).collect("file", Position(cursor), NoBudget(), NOW))


def write(path: Path, posts: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(p) + "\n" for p in posts))


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    write(path, [post(id=n) for n in range(BATCH + 3)])
    first = collect(path)
    assert [len(b.mentions) for b in first] == [BATCH, 3]
    assert [b.cursor is None for b in first] == [True, False]
    (unchanged,) = collect(path, first[-1].cursor)
    assert (unchanged.fetched, unchanged.cursor) == (0, first[-1].cursor)
    write(path, [post(id=1), post(id=2)])
    (changed,) = collect(path, first[-1].cursor)
    assert [m.source_id for m in changed.mentions] == ["1", "2"]


def test_lines_that_cannot_be_read_are_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "posts.jsonl"
    write(path, [post(), post(text=""), post(likes=-1)])
    (batch,) = collect(path)
    assert (len(batch.mentions), batch.fetched) == (1, 3)
    assert "line 2 left out: text is empty" in caplog.text
    assert "2 lines left out" in caplog.text


def test_a_file_that_cannot_be_read_makes_the_source_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="No such file"):
        collect(tmp_path / "nowhere.csv")
    with pytest.raises(SourceUnavailable, match="not a file"):
        collect(tmp_path)
    (tmp_path / "bad.csv").write_text("id,text\n")
    with pytest.raises(SourceUnavailable, match=r"bad\.csv: .*missing"):
        collect(tmp_path / "bad.csv")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_half_a_last_line_waits_until_the_file_has_been_quiet_for_a_minute(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"posts.{ending}"
    first, last = (
        f"{n},x,ann,2026-11-20,Acme is fine" if ending == "csv" else json.dumps(post(id=n, text="Acme is fine"))
        for n in (1, 2)
    )
    whole = (f"{HEADER}\n" if ending == "csv" else "") + f"{first}\n{last}"

    def written(text: str, ago: float) -> None:
        path.write_text(text)
        os.utime(path, times=(NOW.timestamp() - ago,) * 2)

    written(whole[:-5], 1)
    (cut,) = collect(path, "before")
    assert ([m.source_id for m in cut.mentions], cut.cursor) == (["1"], None)
    written(f"{whole}\n", 1)
    (ended,) = collect(path, "before")
    assert ([m.text for m in ended.mentions], ended.cursor is None) == (["Acme is fine"] * 2, False)
    written(whole, 61)
    (old,) = collect(path, "before")
    assert ([m.text for m in old.mentions], old.cursor is None) == (["Acme is fine"] * 2, False)


def test_the_kind_is_registered_with_its_options(tmp_path: Path) -> None:
    kinds: list[CollectorKind] = []
    register_collectors(lambda kind: kinds.append(kind))
    (kind,) = kinds
    (tmp_path / "posts.csv").write_text("")
    options = FileOptions(path=tmp_path / "posts.csv")
    assert kind.kind == "file"
    assert kind.build(options, ()).streams() == ("file",)
    assert kind.explain(options, ()) == (f"file: all of {options.path} whenever it changes, matched here",)
    with pytest.raises(ValidationError):
        FileOptions.model_validate({"path": "a", "other": 1})
