"""POST /in/NAME: posts that others bring to a source, in the format of `sentimon import`.

Told apart from pages by its token: whoever has it may add posts, and nothing else.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from db.errors import InputError
from db.records import Mention
from db.store import Store
from jobs.ingest import ingest
from monitor.config import Config, SourceConfig

log = logging.getLogger(__name__)

LARGEST = 10_000_000  # bytes of a body
REFUSED_SHOWN = 1000  # rows that an answer names

Clock = Callable[[], datetime]


class Inbox(Protocol):
    """What a source whose kind is `pushed` is built to."""

    def admits(self, token: str) -> bool:
        """Say whether who has this token may bring posts."""

    def takes(self, content_type: str) -> bool:
        """Say whether a body of this type can be read."""

    def read(
        self, body: bytes, content_type: str, platform: str, now: datetime
    ) -> Iterator[tuple[int, Mention, str | None] | tuple[int, str]]:
        """Yield (number, post, brand), or (number, why not); InputError where the body as a whole cannot be read."""


class _Refused(Exception):
    """Why a request is not taken."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def mount(app: FastAPI, config: Config, clock: Clock) -> None:
    """Add the address to which the configured webhooks are brought posts."""
    inboxes = _inboxes(config)
    sources = {source.name: source for source in config.sources}

    @app.post("/in/{name:path}")
    async def bring(name: str, request: Request) -> JSONResponse:
        try:
            inbox = _admitted(inboxes, name, request)
            body = await _body(request)
            kind = request.headers["content-type"]
            status, told = await run_in_threadpool(_take, config, sources[name], inbox, body, kind, clock())
        except _Refused as refused:
            headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}
            return JSONResponse({"error": str(refused)}, refused.status, headers)
        except ClientDisconnect:  # nobody is left to answer, and nothing of it was stored
            return JSONResponse({"error": "the request broke off"}, 400)
        return JSONResponse(told, status)


def _inboxes(config: Config) -> Mapping[str, Inbox]:
    """Build the sources that are brought posts, as far as their secrets are set."""
    pushed = [source for source in config.sources if source.collector_kind.pushed and source.options is not None]
    made: dict[str, Any] = {
        source.name: source.collector_kind.build(source.options, config.brands) for source in pushed
    }
    return made


def _admitted(inboxes: Mapping[str, Inbox], name: str, request: Request) -> Inbox:
    """Check what can be checked before the body is read."""
    inbox = inboxes.get(name)
    if inbox is None:
        raise _Refused(404, "no webhook has this name; it is the name of a source of kind webhook whose token is set")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not inbox.admits(token.strip()):
        raise _Refused(
            401,
            "the token is missing or wrong: the header Authorization must be Bearer, a space and the source's token",
        )
    if not inbox.takes(request.headers.get("content-type", "")):
        raise _Refused(
            415, "Content-Type must be application/json, application/x-ndjson (an object a line) or text/csv, in UTF-8"
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise _Refused(415, "the body must not be compressed")
    return inbox


async def _body(request: Request) -> bytes:
    """Read the body, and never more than is taken."""
    too_large = _Refused(413, f"the body is larger than {LARGEST // 1_000_000} MB: bring the posts in several requests")
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > LARGEST:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise too_large
    return bytes(body)


def _take(
    config: Config, source: SourceConfig, inbox: Inbox, body: bytes, content_type: str, now: datetime
) -> tuple[int, dict[str, Any]]:
    """Store the rows that can be read, as an import does; return status and answer."""
    refused: list[dict[str, Any]] = []
    good = bad = 0

    def posts() -> Iterator[tuple[Mention, str | None]]:
        nonlocal good, bad
        for row in inbox.read(body, content_type, platform_name(source.name), now):
            if len(row) == 3:
                good += 1
                yield row[1], row[2]
                continue
            bad += 1
            if bad <= REFUSED_SHOWN:
                refused.append({"line": row[0], "why": row[1]})

    with Store(config.database) as store:
        try:
            added = ingest(store, posts(), config.brands)
        except InputError as error:
            raise _Refused(422, str(error)) from error
        if good:
            with store.transaction():
                store.sources.configured(source.name, source.kind, "")
                store.sources.succeeded(source.name, now)
    if not good and not bad:
        raise _Refused(422, "the body holds no posts")
    log.info("%s: %d posts brought, %d rows refused", source.name, good, bad)
    told = {"stored": added.stored, "known": added.known, "matched": added.matched, "refused": refused}
    if bad > len(refused):
        told["refused_more"] = bad - len(refused)
    return (200 if good else 422), told


def platform_name(name: str) -> str:
    """Write a source's name as a post's `source`, which is more restricted."""
    return re.sub(r"[^a-z0-9_.-]+", "-", name.lower())[:40].strip("-") or "webhook"
