"""The OpenAPI document, held against the running application by schemathesis: no server error, nothing undocumented."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor import config, plugins
from monitor.web.server import Server
from tests.api_rig import TWO_BRANDS, Api, api, fill
from tests.cli_rig import configure
from tests.support import NOW

__all__ = ["api"]

# Requests that are as described may still make no sense (400), or come too late (409).
SETTINGS = """[checks]
positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409, 413]
"""


def _document(api: Api) -> dict[str, Any]:
    answer = api.ask("GET", "/openapi.json", api.token())
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_address_is_described_for_people(api: Api) -> None:
    found = list(operations(_document(api)))
    assert len(found) > 25
    for method, path, operation in found:
        assert operation["summary"], path
        assert operation["description"].endswith((".", ")")), path
        assert {"401", "403", "422", "503"} <= set(operation["responses"]), path
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (path, parameter["name"])
        if method == "post":
            assert {"400", "404", "413"} <= set(operation["responses"]), path


def test_the_document_names_no_shape_that_is_not_there(api: Api) -> None:
    document = _document(api)
    shapes = document["components"]["schemas"]

    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from ([part["$ref"]] if "$ref" in part else [])
            part = list(part.values())
        if isinstance(part, list):
            for each in part:
                yield from references(each)

    assert {name.removeprefix("#/components/schemas/") for name in references(document)} <= set(shapes)
    assert "HTTPValidationError" not in shapes
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyCookie"}


def test_the_document_is_for_those_only_who_have_a_token(api: Api) -> None:
    api.token()
    assert api.ask("GET", "/openapi.json", None).status_code == 401


def run_against(folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    """Let schemathesis ask a server on loopback, with every check that it has."""
    configure(folder, f"[web]\nport = 0\n\n{TWO_BRANDS}")
    fill(folder)
    server = Server(config.load(folder / "sentimon.toml", plugins.load()), lambda: NOW)
    server.start()
    try:
        asker: Any = Api(folder, None, None)  # type: ignore[arg-type]
        token = f"Authorization: Bearer {asker.token()}"
        (folder / "schemathesis.toml").write_text(SETTINGS)
        code = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
        options = ["--config-file", "schemathesis.toml", "run", f"{server.url}/api/openapi.json"]
        options += ["--url", f"{server.url}/api", "-H", token, "--checks", "all", "--seed", "7", "--no-color", *more]
        command = [sys.executable, "-c", code, *options]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    finally:
        server.stop()


def test_requests_drawn_from_the_document_are_answered_as_it_says(folder: Path) -> None:
    done = run_against(folder, "--phases", "examples,fuzzing", "--max-examples", "2")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert " 0 total" not in done.stdout


@pytest.mark.slow
def test_every_limit_of_the_document_holds(folder: Path) -> None:
    done = run_against(folder, "--phases", "examples,coverage,fuzzing", "--max-examples", "20")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
