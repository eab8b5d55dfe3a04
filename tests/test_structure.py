"""How the project is put together: imports, start-up, what is packed, and rules that a linter does not know."""

import ast
import importlib.metadata
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_rig import BUNDLED, ROOT, environment

PACKAGES = ("monitor", "jobs", "models", "db")
HEAVY = {"torch", "transformers", "tokenizers", "tweepy", "praw", "scipy", "pandas", "apprise", "fastapi", "uvicorn"}
HEAVY |= {
    "atproto",
    "mastodon",
    "feedparser",
    "googleapiclient",
    "httpx",
    "websockets",
    "datasketch",
    "altair",
    "vl_convert",
    "argon2",
    "authlib",
    "datasette",
    "holidays",
    "itsdangerous",
    "jinja2",
    "joserfc",
    "sse_starlette",
    "starlette",
}
LONGEST = 500  # lines
PRODUCT = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in PRODUCT]


def python(code: str, *args: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=cwd, capture_output=True, text=True, timeout=120, env=environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_imports_point_one_way(tmp_path: Path) -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None))"
    assert "0 broken" in python(code)


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["init"], ["run", "--help"], ["score", "--help"], ["stauts"]], ids=" ".join
)
def test_what_needs_no_model_imports_no_heavy_library(args: list[str], tmp_path: Path) -> None:
    code = f"""
import sys
from monitor.cli import main
try:
    main(sys.argv[1:], prog_name="sentimon")
except SystemExit:
    print("loaded:", *sorted({HEAVY!r} & sys.modules.keys()))
"""
    assert python(code, *args, cwd=tmp_path).splitlines()[-1] == "loaded:"


def test_questions_import_no_model(tmp_path: Path) -> None:
    (tmp_path / "sentimon.toml").write_text('[[brands]]\nname = "Acme"\nquery = "acme"\n')
    code = f"""
import sys
from monitor.cli import main
for command in ("status", "trends", "alerts", "queue", "mentions", "export"):
    try:
        main([command], prog_name="sentimon")
    except SystemExit as end:
        print("ended:", end.code)
print("loaded:", *sorted({HEAVY!r} & sys.modules.keys()))
"""
    lines = python(code, cwd=tmp_path).splitlines()
    assert lines.count("ended: 0") == 6
    assert lines[-1] == "loaded:"


def test_no_other_distribution_claims_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    for name in (*PACKAGES, "tests", "benchmarks"):
        assert set(owners.get(name, [])) <= {"sentimon"}, f"{name} is claimed by {owners[name]}"


@pytest.mark.parametrize("name", PACKAGES)
def test_our_names_lead_to_our_folders(name: str) -> None:
    module = importlib.import_module(name)
    assert Path(str(module.__file__)).parent == ROOT / name


@pytest.mark.parametrize("path", PRODUCT, ids=NAMES)
def test_a_module_is_short_and_promises_without_asserting(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: assert is gone under python -O"
        if isinstance(node, ast.ExceptHandler):
            silent = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            assert not (silent and broad), f"line {node.lineno}: every error is swallowed"


def clock_readers() -> Iterator[str]:
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = ast.unparse(node.func)
                if called in ("datetime.now", "datetime.utcnow", "datetime.today", "time.time", "time.sleep"):
                    yield f"{path.relative_to(ROOT)}: {called}"


def test_only_the_composition_root_reads_the_clock_and_nothing_sleeps() -> None:
    assert sorted(clock_readers()) == ["monitor/app.py: datetime.now"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built here, as no index is asked."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_all_that_is_needed_at_run_time(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (entry_points,) = [name for name in held if name.endswith("entry_points.txt")]
        assert "sentimon = monitor.cli:main" in archive.read(entry_points).decode()
    assert set(NAMES) <= held
    data = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.suffix in (".jsonl", ".toml", ".html", ".css", ".js", ".svg")
    }
    assert {"monitor/demo/posts.jsonl", "monitor/demo/sentimon.toml", "monitor/init_template.toml"} <= data
    assert data <= held
    if (BUNDLED / "config.json").exists():
        files = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
        assert {f"models/bundled/{name}" for name in files} <= held


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
    tops = {name.split("/")[0] for name in held}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert not [name for name in held if name.endswith((".pyc", ".db", ".pt", ".rejects.jsonl"))]


def test_the_wheel_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """What is packed can be imported from elsewhere, and finds its own files there."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(
            tmp_path / "site", [name for name in archive.namelist() if not name.endswith(".safetensors")]
        )
    code = "import sys; from monitor.cli import main; print(sys.modules['monitor'].__file__); main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, "init"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(PYTHONPATH=os.fspath(tmp_path / "site")),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "site" / "monitor"))
    assert (tmp_path / "sentimon.toml").read_text() == (ROOT / "monitor" / "init_template.toml").read_text()
