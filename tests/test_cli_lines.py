"""The lines that `sentimon score` reads: from files of any size, and from pipes that stay open."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from db.errors import InputError
from models.classifier import Post
from models.text import LONGEST
from monitor.cli.lines import FIRST, MOST, PATIENCE, Line, as_they_come, raw_lines, read, windows
from tests.cli_rig import QUICK, environment, sentimon


def scored(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def some(count: int) -> Iterator[Line]:
    return read(f"post {number}\n".encode() for number in range(count))


def test_the_first_answers_come_soon_and_the_rest_in_windows_of_a_limited_size() -> None:
    found = list(windows(some(3 * MOST), clock=lambda: 0.0))
    assert [line.id for window in found for line in window] == list(range(1, 3 * MOST + 1))
    assert len(found[0]) == FIRST
    assert max(map(len, found)) == MOST
    assert [len(window) for window in found[:4]] == sorted(len(window) for window in found[:4])
    assert list(windows(iter(()))) == []


def test_lines_that_come_slowly_do_not_wait_for_company() -> None:
    times = iter(number * PATIENCE / 2 for number in range(100))
    assert [len(window) for window in windows(some(9), clock=lambda: next(times))] == [2, 2, 2, 2, 1]


def test_typed_lines_are_answered_one_by_one() -> None:
    assert [len(window) for window in windows(some(3), most=1)] == [1, 1, 1]


def test_lines_wait_no_longer_than_they_may_when_none_comes() -> None:
    first, second, third = some(3)
    times = iter((0, 0.1, 0.2, 2, 2, 2.1, 2.2, 9, 9, 9.1))
    found = list(windows([first, second, None, None, None, third, None], clock=lambda: next(times)))
    assert found == [[first, second], [third]]


def test_a_line_of_a_pipe_is_answered_though_no_other_comes_and_what_goes_wrong_there_is_told() -> None:
    reader, writer = os.pipe()

    def until_bad(source: BinaryIO) -> Iterator[Line]:
        for line in read(raw_lines(source)):
            if line.post == Post("bad"):
                raise InputError("bad as it can be")
            yield line

    with os.fdopen(reader, "rb") as source, os.fdopen(writer, "wb", buffering=0) as pipe:
        found = windows(as_they_come(source, until_bad))
        pipe.write(b"one\ntwo\n")
        assert [line.id for line in next(found)] == [1, 2]
        pipe.write(b"three\n")
        assert [line.id for line in next(found)] == [3]
        pipe.write(b"bad\n")
        with pytest.raises(InputError, match="bad as it can be"):
            next(found)


def test_a_line_that_is_too_long_is_told_and_the_rest_is_scored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.cli.lines.LONGEST_LINE", 2 * 1024**2)
    given = b"awful\n" + b"x" * 9 * 1024**2 + b"\nlove\n" + b"y" * 3 * 1024**2
    result = sentimon("score", "-", stdin=given)
    assert result.exit_code == 1
    found = scored(result.stdout)
    assert [(row["id"], row.get("sentiment"), "error" in row) for row in found] == [
        (1, "negative", False),
        (2, None, True),
        (3, "positive", False),
        (4, None, True),
    ]
    assert result.stderr.splitlines() == [
        f"sentimon: standard input: line {number}: longer than 2 MiB, which no post is" for number in (2, 4)
    ]


def test_of_a_line_without_an_end_no_more_is_held_than_a_line_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            if size is None or not 0 < size <= 1_001:
                pytest.fail("reads without a limit")
            return super().readline(size)

    monkeypatch.setattr("monitor.cli.lines.LONGEST_LINE", 1_000)
    found = [len(line) for line in raw_lines(Endless(b"a\n" + b"x" * 100_000 + b"\n" + b"y" * 999 + b"\nb"))]
    assert found == [2, 1_001, 1_000, 1]


def test_a_huge_post_is_not_kept_beyond_what_a_model_reads() -> None:
    for text in ("x" * 100_000, json.dumps({"text": "x" * 100_000})):
        (line,) = read([text.encode()])
        assert line.post is not None
        assert len(line.post.text) == LONGEST


def test_answers_are_written_while_the_input_is_still_open(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment()}
    with subprocess.Popen([*QUICK, "score"], cwd=tmp_path, **pipes) as process:
        if process.stdin is None or process.stdout is None:
            pytest.fail("no pipes")
        process.stdin.write(b"the phone is awful\n" * FIRST)
        process.stdin.flush()
        found = [json.loads(process.stdout.readline()) for _ in range(FIRST)]
        process.stdin.close()
        assert [row["id"] for row in found] == list(range(1, FIRST + 1))
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_a_program_that_sends_a_post_and_waits_is_answered_and_can_be_interrupted(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a suite run in the background is deaf to it
    with subprocess.Popen([*QUICK, "score"], cwd=tmp_path, preexec_fn=heard, **pipes) as process:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            pytest.fail("no pipes")
        for number in (1, 2):
            process.stdin.write(b"the phone is awful\n")
            process.stdin.flush()
            if not select.select([process.stdout], [], [], 60)[0]:
                process.kill()
                pytest.fail("no answer")
            assert json.loads(process.stdout.readline())["id"] == number
        process.send_signal(signal.SIGINT)
        if not select.select([process.stderr], [], [], 60)[0]:
            process.kill()
            pytest.fail("goes on")
        said_last = process.stderr.read().decode().strip()
        assert (process.wait(), said_last) == (1, "Aborted!")
