"""What every page shares: the configuration, the store, the clock, the templates, and who is asking."""

import hashlib
import shlex
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.templating import Jinja2Templates

from db.desk import User
from db.store import Store
from monitor.config import Config
from monitor.web.answers import Answers
from monitor.web.pool import Pool

HERE = Path(__file__).parent
STATIC = HERE / "static"
SEEN = ["GET", "HEAD"]

Clock = Callable[[], datetime]


def _version() -> str:
    """Name what the static files are now, so that browsers may keep them for ever under this name."""
    parts = b"".join(path.read_bytes() for path in sorted(STATIC.rglob("*")) if path.is_file())
    return hashlib.sha256(parts).hexdigest()[:12]


@dataclass(frozen=True)
class Site:
    """Hand it to each part of the pages; `clock` is the only one that they read."""

    config: Config
    clock: Clock
    templates: Jinja2Templates = field(default_factory=lambda: Jinja2Templates(directory=HERE / "templates"))
    version: str = field(default_factory=_version)

    def __post_init__(self) -> None:
        self.templates.env.filters["shell"] = shlex.quote

    @cached_property
    def pool(self) -> Pool:
        """The stores that are open."""
        return Pool(self.config.database)

    @cached_property
    def answers(self) -> Answers:
        """What was worked out of the database as it is now."""
        return Answers(self.pool)

    @cached_property
    def cared(self) -> Answers:
        """The figures of care, which most of what is stored does not change."""
        return Answers(self.pool, self._care)

    def _care(self) -> Hashable:
        with self.store() as store:
            return self.pool.version()[0], store.care.mark()  # of which file, and of what is in it

    @cached_property
    def searches(self) -> Answers:
        """What was looked for in it. That takes the time of SQLite, which can do several things at once."""
        return Answers(self.pool, turns=False)

    def store(self) -> AbstractContextManager[Store]:
        """Lend a store, in a `with`; nothing of it is read afterwards."""
        return self.pool.lend()

    def page(self, request: Request, name: str, values: Mapping[str, Any], status: int = 200) -> HTMLResponse:
        """Fill a template that extends base.html.

        Beside its own values it has `user`, `csrf` (of every form), `now`, `here` (the path), `version` and `to`, which
        writes an address relative to this page, so that the pages work below any path of a proxy.
        """
        shared = {
            "user": user_of(request),
            "csrf": getattr(request.state, "csrf", ""),
            "now": self.clock(),
            "here": request.url.path,
            "version": self.version,
            "to": lambda address: relative(request, address),
        }
        return self.templates.TemplateResponse(request, name, {**shared, **values}, status_code=status)

    def go(self, request: Request, address: str) -> RedirectResponse:
        """Send a browser to a page of ours after a form was taken."""
        return RedirectResponse(relative(request, address), 303)


def user_of(request: Request) -> User | None:
    """Return who is logged in."""
    found: User | None = getattr(request.state, "user", None)
    return found


def relative(request: Request, address: str) -> str:
    """Write an address of ours ("/desk?brand=Acme") relative to the one that was asked for."""
    return seen_from(request.url.path, address)


def seen_from(path: str, address: str) -> str:
    """Write an address of ours relative to a path of ours.

    It begins with a dot: whatever the rest is, no browser takes it for another site or scheme.
    """
    return ("../" * (path.count("/") - 1) or "./") + address.removeprefix("/")
