"""What thousands of tests need and is the same each time is worked out once: schema, plugins, templates, validators."""

import importlib.metadata
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Any, get_args

import fastapi._compat.v2
import jinja2
import pytest
from pydantic import TypeAdapter
from sqlite_utils import Database

import db.store
from db.database import open_database

Opener = Callable[..., Database]


def schema(folder: Path) -> Opener:
    """Make a database that the migrations made, and return how a new one is opened: as a copy of it.

    What is copied is opened, checked and migrated like any file. Nothing waits for the disk: no test ends with a power
    failure.
    """
    open_database(folder / "made.db").close()
    connection = sqlite3.connect(folder / "made.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()

    def opened(path: Path, lent: bool = False) -> Database:
        if not path.exists():
            with suppress(OSError):  # where no file can be made, the real function says so
                copy = Path(shutil.copyfile(folder / "made.db", path.with_name(f".{path.name}.{os.urandom(4).hex()}")))
                try:
                    os.link(copy, path)  # fails where another was faster
                finally:
                    copy.unlink()
        made = open_database(path, lent)
        made.execute("PRAGMA synchronous = OFF")
        return made

    return opened


def installed() -> Callable[..., Any]:
    """Return `entry_points`, which reads a file of every distribution that is installed, anew for each new path."""
    look, seen = importlib.metadata.entry_points, dict[tuple[str, ...], Any]()

    def entry_points(**wanted: Any) -> Any:
        path = tuple(sys.path)
        if path not in seen:
            seen[path] = look()
        return seen[path].select(**wanted)

    return entry_points


def templates() -> Callable[..., CodeType]:
    """Return `Environment.compile`, which compiles each template once for all environments of its kind."""
    compile_anew, seen = jinja2.Environment.compile, dict[tuple[object, ...], Any]()

    def compiled(self: jinja2.Environment, source: Any, *args: Any, **more: Any) -> Any:
        kind = (type(self), *self.extensions, *self.filters, *self.tests, self.autoescape, self.trim_blocks)
        key = (kind, self.lstrip_blocks, self.is_async, source, args, *more.items())
        if key not in seen:
            seen[key] = compile_anew(self, source, *args, **more)
        return seen[key]

    return compiled


def validators() -> Callable[..., TypeAdapter[Any]]:
    """Return `TypeAdapter`, most of the work of making the application: one for all that looks the same."""
    seen = dict[tuple[object, ...], tuple[TypeAdapter[Any], Any]]()

    def adapter(annotated: Any, *, config: Any = None) -> TypeAdapter[Any]:
        kind, *about = get_args(annotated)
        key = (kind, repr(kind), repr(about), repr(config))
        if key not in seen:  # what was looked at is kept, so that nothing else comes to lie where it lies
            seen[key] = TypeAdapter(annotated, config=config), annotated
        return seen[key][0]

    return adapter


def share(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Put all of these in force."""
    patch.setattr(db.store, "open_database", schema(folder))
    patch.setattr(importlib.metadata, "entry_points", installed())
    patch.setattr(jinja2.Environment, "compile", templates())
    patch.setattr(fastapi._compat.v2, "TypeAdapter", validators())
