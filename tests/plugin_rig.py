"""Plugins that lie beside sentimon, as after `pip install`, and a machine without a network."""

import importlib
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor import plugins
from monitor.plugins import Kinds
from tests.cli_rig import ROOT

EXAMPLE = ROOT / "docs" / "example_plugin" / "sentimon_notes.py"


def install(folder: Path, distribution: str, module: str, code: str) -> None:
    """Lay a distribution with an entry point into a folder, as pip would."""
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sentimon]\n{module} = {module}\n")


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Make what lies in a folder importable."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) and str(folder) in str(sys.modules[name].__file__):
                del sys.modules[name]
        importlib.invalidate_caches()


@contextmanager
def all_kinds(folder: Path) -> Iterator[Kinds]:
    """All kinds of sources and channels, those of the example plugin included."""
    install(folder, "sentimon-notes", "sentimon_notes", EXAMPLE.read_text(encoding="utf-8"))
    with installed(folder):
        yield plugins.load()


@contextmanager
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Note every socket that is connected. As they are held here, only who opened them can close them."""
    made: list[socket.socket] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        made.append(self)
        connect(self, address)

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", noted)
        yield made


@contextmanager
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail at the first connection and at the first name that is looked up."""

    def refuse(*_: object) -> None:
        pytest.fail("a connection is made")

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield
