"""Bad input ends in one line on standard error that says what, where and what to do, and the database stays whole."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from db.desk import User
from db.store import Store
from tests.cli_rig import (
    BRAND,
    COMMAND,
    HEADER,
    NOW,
    complaint,
    configure,
    corrupt,
    counts,
    environment,
    jsonl,
    one_line,
    post,
    ran,
    said,
    sentimon,
    spawn,
    wait_until,
)
from tests.support import Keywords
from tests.tiny_model import tiny_classifier, tiny_mention_model

SECRET = "AAAA-do-not-print-me"
X = '[[sources]]\nkind = "x"\nbearer_token = "t"\n'


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    configure(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few scored posts, to copy."""
    folder = tmp_path_factory.mktemp("scored")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("SENTIMON_CONFIG", raising=False)
        patch.setattr("models.classifier.load", lambda *_, **__: Keywords())
        configure(folder)
        (folder / "good.jsonl").write_text(jsonl(post(1), post(2, "acme is awful")))
        said(sentimon("import", "good.jsonl"))
        said(sentimon("run", "--once"))
    return folder


@pytest.fixture
def folder(bare: Path, scored: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One with a few scored posts, which must all be there afterwards."""
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Keywords())
    shutil.copytree(scored, bare, dirs_exist_ok=True)
    before = counts(bare / "posts.db")
    yield bare
    after = counts(bare / "posts.db")
    # What a job that failed writes down is no damage.
    grown = {"job_runs", "coverage", "sources", "cursors", "spending", "sqlite_sequence"}
    assert {table: count for table, count in after.items() if table not in grown} == {
        table: count for table, count in before.items() if table not in grown
    }


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["stauts"], "no command 'stauts'; did you mean status? see `sentimon --help`"),
        (["frobnicate"], "no command 'frobnicate'; see `sentimon --help`"),
        (["--confg", "x", "status"], "Did you mean '--config'?"),
        (["models", "--jsn"], "'--jsn'. Did you mean '--json'? see `sentimon models --help`"),
        (["trends", "--since", "nonsense"], "'nonsense' is not a time; write 2026-11-21,"),
        (["trends", "--since", ""], "'' is not a time"),
        (["trends", "--since", "9999999d"], "is not a time"),
        (["trends", "--since", "999999w"], "is not a time"),
        (["trends", "--since", "0001-01-01T00:00+14:00"], "is not a time"),
        (["trends", "--until", "9999-12-31T23:59-12:00"], "is not a time"),
        (["trends", "--since", "2026-01-02", "--until", "2026-01-01"], "--since must be before --until"),
        (["queue", "--since", "1d", "--until", "1d"], "--since must be before --until"),
        (["trends", "--by", "month"], "'month' is not one of 'hour', 'day', 'week'"),
        (["queue", "--limit", "0"], "0 is not in the range x>=1"),
        (["mentions", "--limit", "many"], "'many' is not a valid integer"),
        (["mentions", "--sentiment", "angry"], "'angry' is not one of"),
        (["mentions", "half\udcff"], "is not UTF-8"),
        (["trends", "--brand", "half\udcff"], "is not UTF-8"),
        (["import", "--brand", "half\udcff", "good.jsonl"], "is not UTF-8"),
        (["import"], "Missing argument 'FILE'"),
        (["export", "--format", "xml"], "'xml' is not one of 'csv', 'jsonl'"),
        (
            ["run", "--once", "--job", "wash"],
            "'wash' is not one of 'collect', 'backfill', 'group', 'score', 'watch', 'triage', 'survey',",
        ),
        (["serve", "--port", "70000"], "70000 is not in the range"),
        (["train", "--output", "x"], "name --recipe, --data and --output, or --from-verdicts"),
        (["status", "surplus"], "unexpected extra argument (surplus)"),
    ],
)
def test_an_option_that_cannot_be_used(folder: Path, args: list[str], says: str) -> None:
    line = complaint(sentimon(*args), exit_code=2)
    assert line.startswith("sentimon: ")
    assert says in line


def test_any_number_of_rows_may_be_asked_for(folder: Path) -> None:
    assert "acme is fine" in said(sentimon("mentions", "--limit", "9" * 30))
    assert "Nothing waits" in said(sentimon("queue", "--limit", "9" * 30))


def test_a_source_that_is_not_there_cannot_be_resumed(folder: Path) -> None:
    assert complaint(sentimon("resume", "y")) == "sentimon: no source or channel 'y'; there are: none"


# --- the configuration ------------------------------------------------------------------------------------------------


def test_no_configuration_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    assert complaint(sentimon("status"), 2) == "sentimon: no sentimon.toml here; `sentimon init` writes one"
    monkeypatch.setenv("SENTIMON_CONFIG", "elsewhere.toml")
    assert "elsewhere.toml: no such file (named by SENTIMON_CONFIG)" in complaint(sentimon("status"), 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\xff\xfe\x00binary", "is not UTF-8 text (byte 1)"),
        (b"", "brands: at least one [[brands]] is needed"),
        (b"[[brands]\n", "is not TOML"),
        (BRAND.encode() + b"[modle]\n", "modle: unknown key; did you mean model?"),
        (b'[[brands]]\nname = "Acme"\nquery = "(acme"\n', "brands.Acme.query: "),
        (BRAND.encode() + b'[[sources]]\nkind = "redit"\n', "unknown source kind 'redit'; did you mean reddit?"),
        (BRAND.encode() + b'[[sources]]\nkind = "x"\n', "sources.x.bearer_token: is missing"),
        (BRAND.encode() + b"[web]\nport = 99999\n", "web.port: "),
        (BRAND.encode() + BRAND.encode(), "this name is used twice"),
    ],
)
def test_a_configuration_that_cannot_be_read(folder: Path, text: bytes, says: str) -> None:
    (folder / "bad.toml").write_bytes(text)
    for args in (["--config", "bad.toml", "status"], ["run", "--once", "--config", "bad.toml"]):
        line = complaint(sentimon(*args), exit_code=2)
        assert line.startswith("sentimon: bad.toml: ")
        assert says in line


def test_a_configuration_that_is_a_folder(folder: Path) -> None:
    (folder / "dir").mkdir()
    assert complaint(sentimon("--config", "dir", "status"), 2) == "sentimon: dir: cannot be read: Is a directory"
    assert "cannot be written" in complaint(sentimon("init", "no/such/folder.toml"), 2)


def test_run_wants_every_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_X_TOKEN", raising=False)
    configure(folder, '[[sources]]\nkind = "x"\nbearer_token = { env = "MY_X_TOKEN" }')
    line = complaint(sentimon("run", "--once"), 2)
    assert "bearer_token: environment variable MY_X_TOKEN is not set" in line
    configure(folder, f'[[channels]]\nname = "team"\nurl = {{ file = "{SECRET}.txt" }}')
    assert "url: file AAAA" in complaint(sentimon("run", "--once"), 2)


@pytest.mark.parametrize("url", [f"slak://{SECRET}/x", SECRET, f"json://{SECRET}:port:port/", ""])
def test_an_address_that_apprise_does_not_know_is_not_repeated(folder: Path, url: str) -> None:
    configure(folder, f'[[channels]]\nname = "team"\nurl = "{url}"')
    done = ran("run", "--once", cwd=folder)
    line = one_line(done.stderr)
    assert done.returncode == 2
    assert line.startswith("sentimon: sentimon.toml: channels.team.url: not an apprise URL")
    assert SECRET not in line


# --- the database -----------------------------------------------------------------------------------------------------

QUESTIONS = [["status"], ["trends"], ["export"], ["import", "good.jsonl"], ["run", "--once"], ["serve"]]


def other_database(folder: Path, name: str) -> None:
    (folder / "good.jsonl").write_text(jsonl(post(1)))
    configure(folder, database=name)


@pytest.mark.parametrize("args", QUESTIONS)
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no/such/folder/posts.db", "check the folder"),
        ("dir", "cannot open the database"),
        ("text.db", "file is not a database"),
        ("newer.db", "made by a newer version of sentimon (it has m999_future); upgrade sentimon"),
        ("strange.db", "is the database of another program; name another file"),
    ],
)
def test_a_database_that_cannot_be_used(bare: Path, args: list[str], name: str, says: str) -> None:
    (bare / "dir").mkdir()
    (bare / "text.db").write_text("This is a letter, not a database.\n" * 40)
    said(sentimon("status"))
    shutil.copy(bare / "posts.db", bare / "newer.db")
    with sqlite3.connect(bare / "newer.db") as newer:
        newer.execute("INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('sentimon', 'm999_future')")
    with sqlite3.connect(bare / "strange.db") as strange:
        strange.execute("CREATE TABLE mentions (a)")
    kept = {file: (bare / file).read_bytes() for file in ("text.db", "newer.db")}
    other_database(bare, name)
    line = complaint(sentimon(*args), 1)
    assert str(bare / name) in line
    assert says in line
    assert {file: (bare / file).read_bytes() for file in kept} == kept
    (bare / "dir").rmdir()  # still empty


@pytest.mark.parametrize("args", [["mentions"], ["export"], ["trends"], ["status"]])
def test_a_damaged_database(bare: Path, args: list[str]) -> None:
    (bare / "good.jsonl").write_text(jsonl(*(post(number) for number in range(300))))
    said(sentimon("import", "good.jsonl"))
    corrupt(bare / "posts.db")
    assert "malformed" in complaint(sentimon(*args), 1)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("binary.csv", bytes(range(256)), "binary.csv: "),
        ("random", b"\x93\x00\xfe\r\r\x01\x02" * 100, "random: "),
        ("empty.csv", b"", "empty.csv: the file is empty"),
        (
            "headless.csv",
            b"1,x,ann,2026-03-04,acme\n",
            "headless.csv: the first line must name the columns: id, source,",
        ),
        ("twice.csv", f"{HEADER},text\n".encode(), "names a column twice: text"),
        ("posts.csv.gz", b"\x1f\x8b\x08rest", "is compressed: unpack it first"),
        ("posts.xlsx", b"PK\x03\x04rest", "is a spreadsheet or an archive: save it as CSV"),
        ("wide.csv", "id,source".encode("utf-16"), "is in UTF-16: save it as UTF-8"),
        ("array.json", b'[{"id": 1}]', "array.json: this is one JSON array, not JSON lines"),
        ("endless.csv", b"x" * 200_000, "endless.csv: the first line is not valid CSV"),
    ],
)
def test_a_file_that_cannot_be_imported(folder: Path, name: str, content: bytes, says: str) -> None:
    (folder / name).write_bytes(content)
    assert says in complaint(sentimon("import", name), 1)


def test_a_file_that_cannot_be_opened(folder: Path) -> None:
    (folder / "dir").mkdir()
    for command in (["import"], ["score"], ["evaluate"]):
        assert "Is a directory" in complaint(sentimon(*command, "dir"), 1)
        assert "No such file" in complaint(sentimon(*command, "a\nb.jsonl"), 1)


def test_a_line_without_an_end_is_one_bad_row(folder: Path) -> None:
    (folder / "huge.jsonl").write_bytes(b'{"text": "' + b"x" * 17_000_000)
    result = sentimon("import", "huge.jsonl")
    assert result.exit_code == 1
    assert "huge.jsonl: line 1: is not valid JSON" in result.stderr
    assert (folder / "huge.jsonl.rejects.jsonl").stat().st_size < 18_000_000


def test_rejects_that_cannot_be_written_down(folder: Path) -> None:
    (folder / "bad.jsonl").write_text("{half\n")
    line = complaint(sentimon("import", "bad.jsonl", "--rejects", "no/such/place"), 1)
    assert "name another place with --rejects" in line


def test_an_export_that_cannot_be_written(folder: Path) -> None:
    assert "no/such/place: cannot be written" in complaint(sentimon("export", "--output", "no/such/place"), 1)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.jsonl", "", "empty.jsonl: holds no labelled posts"),
        ("bare.jsonl", '{"text": "x"}\n', "bare.jsonl: none of its posts has a label"),
        ("strange.jsonl", '{"text": "x", "label": "angry"}\n', "strange.jsonl:1: not a labelled post"),
        ("strange.csv", "text,label\nx,angry\n", "strange.csv:2: not a labelled post"),
        ("half.jsonl", '{"text": "x"', "half.jsonl:1: not a labelled post"),
        ("no-text.jsonl", '{"label": "negative"}\n', "no-text.jsonl:1: not a labelled post"),
        ("binary.jsonl", "\udcff\udcfe", "binary.jsonl: cannot be read"),
    ],
)
def test_posts_that_nothing_can_be_measured_on(folder: Path, name: str, content: str, says: str) -> None:
    (folder / name).write_bytes(content.encode(errors="surrogateescape"))
    assert says in complaint(sentimon("evaluate", name), 1)


# --- models -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BadModel:
    """How a folder comes to hold no model."""

    says: str
    config: str | None = None
    tokenizer: str | None = None
    weights: int | None = None  # bytes that are left of them


BAD_MODELS = {
    "empty": BadModel("empty: not a model that can be used", config="gone"),
    "cut weights": BadModel("the model cannot be loaded", weights=500),
    "no weights": BadModel("no model here; train one with `sentimon train`", weights=0),
    "broken tokenizer": BadModel("the model cannot be loaded", tokenizer="{"),
    "broken config": BadModel("config.json: cannot be read", config="{"),
    "other config": BadModel("not a model that can be used", config="[]"),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_mention_model(folder / "mention")
    tiny_classifier(folder / "fruits", ["apple", "pear", "plum"])
    return folder


@pytest.mark.parametrize("name", BAD_MODELS)
def test_a_model_that_cannot_be_loaded(bare: Path, tiny: Path, name: str) -> None:
    bad, model = BAD_MODELS[name], bare / name.split()[0]
    shutil.copytree(tiny / "mention", model)
    if bad.config == "gone":
        shutil.rmtree(model)
        model.mkdir()
    elif bad.config:
        (model / "config.json").write_text(bad.config)
    if bad.tokenizer:
        (model / "tokenizer.json").write_text(bad.tokenizer)
    if bad.weights is not None:
        weights = model / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[: bad.weights])
        if not bad.weights:
            weights.unlink()
    configure(bare, f'[model]\nname = "./{model.name}"')
    line = complaint(sentimon("score", stdin="hello\n"), 1)
    assert bad.says in line
    assert str(model) in line
    assert f"WRONG model {model}" in sentimon("check").stdout


def test_a_model_whose_labels_mean_nothing_to_us(bare: Path, tiny: Path) -> None:
    configure(bare, f'[model]\nname = "{tiny / "fruits"}"')
    line = complaint(sentimon("score", stdin="hello\n"), 1)
    assert "labels apple, pear, plum do not say which is negative, neutral, positive; add [model] labels" in line
    configure(bare, f'[model]\nname = "{tiny / "fruits"}"\nlabels = {{ banana = "negative" }}')
    assert "the model has no label banana; it has apple, pear, plum" in complaint(sentimon("score", stdin="x\n"), 1)


def test_a_job_that_cannot_load_its_model_leaves_the_posts_waiting(bare: Path) -> None:
    (bare / "good.jsonl").write_text(jsonl(post(1)))
    (bare / "empty").mkdir()
    configure(bare, '[model]\nname = "./empty"')
    said(sentimon("import", "good.jsonl"))
    result = sentimon("run", "--once")
    assert result.exit_code == 1
    assert re.fullmatch(r"score: .*not a model that can be used.*", one_line(result.stderr))
    assert "1 wait for a score" in said(sentimon("status"))
    assert counts(bare / "posts.db")["matches"] == 1


# --- the surroundings -------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in (["serve"], ["run"], ["demo"]):
            line = complaint(sentimon(*command, "--port", port), 1)
            assert f"cannot serve on 127.0.0.1:{port}: Address already in use; name another port" in line


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "256.256.256.256"])
def test_a_host_that_is_none(folder: Path, host: str) -> None:
    configure(folder, f'[web]\nhost = "{host}"\nport = 0', database="people.db")
    with Store(folder / "people.db") as store, store.transaction():
        store.users.add(User(0, "ann", "admin"), None, NOW)
    assert f"cannot serve on {host}:0: " in complaint(sentimon("serve"), 1)


@pytest.fixture
def many(bare: Path) -> Path:
    """More posts than a pipe holds."""
    (bare / "good.jsonl").write_text(jsonl(*(post(number, "acme " + "long " * 200) for number in range(200))))
    said(sentimon("import", "good.jsonl"))
    return bare


@pytest.mark.parametrize(
    "args", [["export"], ["export", "--format", "jsonl"], ["mentions", "--limit", "200"], ["status"]]
)
def test_a_reader_that_goes_away_ends_the_command_quietly(many: Path, args: list[str]) -> None:
    process = spawn(*args, cwd=many)
    if process.stdout is None or process.stderr is None:
        pytest.fail("no pipes")
    if args != ["status"]:
        assert process.stdout.readline()
    process.stdout.close()  # what `| head -1` does
    assert process.wait(30) in (0, 1)
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_disk_that_is_full(many: Path) -> None:
    for args in (["export"], ["trends", "--json"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [*COMMAND, *args], cwd=many, stdout=full, stderr=subprocess.PIPE, timeout=60, env=environment()
            )
        assert done.returncode == 1
        assert one_line(done.stderr) == "sentimon: cannot write: No space left on device; make room"
    line = complaint(sentimon("export", "--output", "/dev/full"), 1)
    assert line.startswith("sentimon: /dev/full: cannot be written: No space left on device")


def test_standard_input_that_is_closed(bare: Path) -> None:
    for command in ("import", "score"):
        shell = ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, command, "-"]
        done = subprocess.run(shell, cwd=bare, capture_output=True, timeout=60, env=environment())
        assert done.returncode == 1
        assert "standard input is closed" in one_line(done.stderr)


def test_a_terminal_that_cannot_show_everything(bare: Path) -> None:
    (bare / "good.jsonl").write_text(jsonl(post(1, "acme \U0001f525 жук")), encoding="utf-8")
    said(sentimon("import", "good.jsonl"))
    for args in (["mentions"], ["mentions", "--json"], ["export", "--format", "jsonl"]):
        done = subprocess.run(
            [*COMMAND, *args], cwd=bare, capture_output=True, timeout=60, env=environment(PYTHONIOENCODING="ascii")
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_ends_an_import_with_what_was_stored_whole(bare: Path) -> None:
    process = spawn("import", "-", "--format", "jsonl", cwd=bare, stdin=subprocess.PIPE)
    if process.stdin is None:
        pytest.fail("no pipe")
    process.stdin.write(jsonl(*(post(number) for number in range(700))).encode())
    process.stdin.flush()
    assert wait_until(20, lambda: (bare / "posts.db").exists() and counts(bare / "posts.db").get("mentions") == 500)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, b"")
    assert error.decode().split() == ["Aborted!"]
    assert counts(bare / "posts.db")["mentions"] == 500
