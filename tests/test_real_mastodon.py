"""The Mastodon collector against servers that others wrote.

Slow, and skipped where they are not installed. snac2 is in Debian from trixie on, and in bookworm-backports.
"""

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from db.errors import SourceUnavailable
from db.records import Position
from jobs.replier import Looker
from monitor.collectors.mastodon import MastodonCollector, MastodonOptions
from tests.mastodon_rig import (
    ACME,
    DAY,
    HOUR,
    TAG,
    NoBudget,
    Reader,
    texts,
)
from tests.reply_rig import FreeMeter, replier_of
from tests.support import mention

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def serving(command: Sequence[str], port: int) -> Iterator[str]:
    """A server of our own on loopback."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, f"{command[0]} does not start"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()  # what it has is thrown away
        process.wait()


@contextmanager
def mastodon_mock() -> Iterator[str]:
    """A mastodon-mock with an empty store in memory."""
    port = free_port()
    command = [sys.executable, "-m", "mastodon_mock", "serve", "--in-memory", "--port", str(port)]
    with serving([*command, "--domain", f"127.0.0.1:{port}"], port) as url:
        yield url


@dataclass
class Snac:
    """A snac with one account, ann."""

    program: str
    folder: Path
    port: int

    def __post_init__(self) -> None:
        self._say("init", answers=f"127.0.0.1\n{self.port}\n127.0.0.1:{self.port}\n\n\n")
        settings = self.folder / "server.json"
        settings.write_text(settings.read_text().replace('"protocol": "https"', '"protocol": "http"'))
        self.password = self._say("adduser", "ann").split("password is ")[1].split()[0]

    @contextmanager
    def running(self) -> Iterator[str]:
        with serving([self.program, "httpd", str(self.folder)], self.port) as url:
            yield url

    def post(self, text: str) -> None:
        self._say("note", "ann", text)

    def delete(self, uri: str) -> None:
        """Delete a post as its author does, by the button on snac's own page."""
        url, given = f"http://127.0.0.1:{self.port}/ann/admin/action", {"id": uri, "action": "Delete"}
        requests.post(url, given, auth=("ann", self.password), timeout=60).raise_for_status()

    def _say(self, command: str, *args: str, answers: str = "") -> str:
        line = [self.program, command, str(self.folder), *args]
        return subprocess.run(line, input=answers, text=True, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture
def snac(tmp_path: Path) -> Snac:
    program = shutil.which("snac")
    if program is None:
        pytest.skip("snac is not installed (Debian: apt-get install snac2)")
    return Snac(program, tmp_path / "snac", free_port())


def readers_of(url: str, **changes: Any) -> dict[str, Reader]:
    given = {"instance": url, "hashtags": ["acme"], "timeline": "local"} | changes
    source = MastodonCollector(MastodonOptions.model_validate(given), [ACME])
    return {stream: Reader(source, stream) for stream in source.streams()}


def numbers(reader: Reader) -> list[int]:
    return sorted(int(mention.text.split()[-1]) for mention in reader.stored.values())


def test_what_is_posted_on_snac_is_read_whole(snac: Snac) -> None:
    with snac.running() as url:
        readers, posted = readers_of(url), 0
        for burst in (0, 3, 45, 1):  # more than a page between two runs
            for _ in range(burst):
                posted += 1
                snac.post(f"#acme & <b>{posted}")
            for reader in readers.values():
                assert reader.run(datetime.now(UTC)) is None
                assert numbers(reader) == list(range(1, posted + 1))
        first = next(iter(readers[TAG].stored.values()))
        assert (first.author, first.created_at.tzinfo) == (f"ann@127.0.0.1:{snac.port}", UTC)
        assert first.url == first.source_id


def test_the_past_on_snac_is_read_whole(snac: Snac) -> None:
    """Its ids are the second and then chance, so their order is not that of the posts."""
    for number in range(45):
        snac.post(f"#acme {number}")
    with snac.running() as url:
        source, now = readers_of(url)[TAG].source, datetime.now(UTC)
        batches = list(source.history(TAG, now - DAY, now + DAY, None, NoBudget(), now))
    assert sorted({int(text.split()[-1]) for text in texts(batches)}) == list(range(45))


def test_snac_does_not_stream_and_is_read_by_its_timelines(snac: Snac, caplog: pytest.LogCaptureFixture) -> None:
    snac.post("#acme 1")
    with snac.running() as url:
        for reader in readers_of(url, stream=True).values():
            assert reader.run(datetime.now(UTC)) is None
            assert len(reader.stored) == (0 if reader.stream == "live" else 1)
    assert "tag:acme is not streamed" in caplog.text


def test_reading_of_snac_goes_on_though_the_last_post_read_is_deleted(snac: Snac) -> None:
    with snac.running() as url:
        reader = readers_of(url)[TAG]
        snac.post("#acme 1")
        assert reader.run(datetime.now(UTC)) is None
        snac.delete(next(iter(reader.stored)))
        assert texts(list(reader.source.collect(TAG, Position(), NoBudget(), datetime.now(UTC)))) == []
        snac.post("#acme 2")
        assert reader.run(datetime.now(UTC)) is None
        assert numbers(reader) == [1, 2]


def test_a_snac_that_was_down_is_read_from_where_reading_ended(snac: Snac) -> None:
    with snac.running() as url:
        reader = readers_of(url)[TAG]
        snac.post("#acme 1")
        assert reader.run(datetime.now(UTC)) is None
    snac.post("#acme 2")
    assert isinstance(reader.run(datetime.now(UTC)), SourceUnavailable)
    with snac.running():
        assert reader.run(datetime.now(UTC)) is None
    assert numbers(reader) == [1, 2]


@pytest.mark.skipif(importlib.util.find_spec("mastodon_mock") is None, reason="mastodon-mock is not installed")
def test_mastodon_mock_is_read_as_well() -> None:
    import mastodon

    with mastodon_mock() as url:
        client = mastodon.Mastodon(access_token="mock_token", api_base_url=url, request_timeout=15)
        given = {
            "instance": url,
            "hashtags": ["acme"],
            "timeline": "local",
            "access_token": "mock_token",
            "search": True,
        }
        source = MastodonCollector(MastodonOptions.model_validate(given), [ACME])
        readers = {stream: Reader(source, stream) for stream in source.streams()}
        now = datetime.now(UTC)
        for posts in (3, 90, 1):
            made = [client.status_post(f"#acme {posts}: {n}") for n in range(posts)]
            now += HOUR
            for stream, reader in readers.items():
                assert reader.run(now) is None, stream
        assert [len(readers[stream].stored) for stream in (TAG, "public")] == [94, 94]
        assert made[0].uri in readers["search:Acme"].stored
        client.status_delete(made[0].id)
        checked = source.check([made[0].uri], None, NoBudget(), now)
        assert list(checked.gone) == [made[0].uri]
        assert len(texts(list(source.history(TAG, now - DAY, now + DAY, None, NoBudget(), now)))) == 93


@pytest.mark.skipif(importlib.util.find_spec("mastodon_mock") is None, reason="mastodon-mock is not installed")
def test_a_reply_to_mastodon_mock_lies_beneath_its_post_and_is_found_there() -> None:
    import mastodon

    with mastodon_mock() as url:
        client = mastodon.Mastodon(access_token="mock_token", api_base_url=url, request_timeout=15)
        asked, now = client.status_post("#acme leaks"), datetime.now(UTC)
        given = {"instance": url, "hashtags": ["acme"], "access_token": "mock_token", "replies": True}
        replier = replier_of("mastodon", given)
        author = f"{asked.account.acct}@{urlsplit(url).netloc}"
        post = mention(asked.uri, "#acme leaks", now, source="mastodon", author=author)
        text = "We are sorry: see https://acme.example/help"
        assert isinstance(replier, Looker)
        assert replier.found(post, text, "key-1", FreeMeter(), now) is None
        sent = replier.reply(post, text, "key-1", FreeMeter(), now)
        (answer,) = client.status_context(asked.id).descendants
        assert answer.uri == sent.remote_id
        assert f"@{asked.account.acct}" in answer.content
        assert replier.found(post, text, "key-1", FreeMeter(), now) == sent
