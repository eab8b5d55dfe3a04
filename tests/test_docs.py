"""What the documentation says, held against the program.

`python -m tests.test_docs --write` brings docs/commands.md up to date.
"""

import importlib
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click_default_group import DefaultGroup
from pydantic import BaseModel

from db.errors import ConfigError
from db.filters import Filter
from db.labels import EMOTIONS, OFFENSIVE, PILLARS, REPLIES, SENTIMENTS, STAGES, TOUCHPOINTS, UNSURE
from db.records import NO_BRAND, Position
from db.store import Store
from jobs.channel import Message
from jobs.collect import collect
from jobs.meter import StoreMeter
from monitor import config, plugins, sections
from monitor.app import App
from monitor.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
CARD = ROOT / "models" / "bundled" / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
EXAMPLE = DOCS / "example_plugin"
MARK = "<!-- From here on written by: python -m tests.test_docs --write -->\n"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of the languages ("" for none)."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [body for language, body in found if language in languages]


def command(name: str) -> click.Command:
    return main.get_command(click.Context(main, info_name="sentimon"), name) or pytest.fail(f"no command {name}")


def meant(arguments: list[str]) -> click.Command:
    """The command, or the command below it, that these arguments call."""
    one = command(arguments[0])
    if isinstance(one, click.Group) and len(arguments) > 1 and not arguments[1].startswith("-"):
        assert arguments[1] in one.commands, arguments
        return one.commands[arguments[1]]
    if isinstance(one, DefaultGroup) and len(arguments) > 1:
        return one.commands[one.default_cmd_name]
    return one


def helps(one: click.Command, name: str, parent: click.Context | None = None) -> Iterator[str]:
    """A command and those below it as `--help` shows them, at a fixed width."""
    context = click.Context(one, parent, info_name=name, terminal_width=100, max_content_width=100)
    yield f"## {context.command_path}\n\n```text\n{one.get_help(context).rstrip()}\n```\n"
    if isinstance(one, click.Group):
        for below in COMMANDS if one is main else one.list_commands(context):
            yield from helps(one.get_command(context, below) or pytest.fail(f"no command {below}"), below, context)


def generated() -> str:
    """Every command."""
    return "\n".join(helps(main, "sentimon"))


def with_generated(page: str) -> str:
    return page[: page.index(MARK) + len(MARK)] + "\n" + generated()


def lines_with_sentimon(page: Path) -> list[list[str]]:
    """The arguments of each `sentimon …` that a page lets the reader type, in blocks and in running text."""
    commands = [line for block in blocks(page, "", "console", "sh", "ini") for line in block.splitlines()]
    commands += re.findall(r"^    (.*)$", text_of(page), re.MULTILINE)
    found = [re.search(r"(?:^(?:ExecStart=)?|\|\s*|\$ )(?:\S*/)?sentimon ([^|#>&]*)", line) for line in commands]
    inline = re.findall(r"`(?:[^`\n|]*\| )?(?:\.venv/bin/)?sentimon ([^`|>]+)`", text_of(page))
    return [shlex.split(arguments) for arguments in [match[1] for match in found if match] + inline]


def test_the_list_of_commands_is_what_the_commands_say() -> None:
    page = text_of(DOCS / "commands.md")
    assert page == with_generated(page), "run: python -m tests.test_docs --write"


@pytest.mark.parametrize("page", names(PAGES))
def test_commands_shown_to_readers_exist_with_their_options(page: str) -> None:
    for arguments in lines_with_sentimon(ROOT / page):
        if arguments[0].startswith("-"):
            assert arguments[0] in ("--help", "--version", "--config"), arguments
            continue
        assert arguments[0] in COMMANDS, arguments
        parameters = meant(arguments).params
        known = {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {argument.partition("=")[0] for argument in arguments[1:] if argument.startswith("--")}
        assert used <= known | {"--help"}, arguments


@pytest.mark.parametrize("block", blocks(README, "console", "sh"))
def test_the_commands_of_the_readme_are_taken_as_they_are_written(block: str) -> None:
    for line in block.splitlines():
        if found := re.match(r"(?:\$ )?(?:\.venv/bin/)?sentimon (.*)", line):
            name, *arguments = shlex.split(found[1].partition(" | ")[0].partition(" > ")[0], comments=True)
            command(name).make_context(name, arguments, parent=click.Context(main))  # raises where it is not


def test_every_command_is_shown_at_work_or_explained_outside_the_list() -> None:
    pages = "".join(text_of(page) for page in PAGES if page.name != "commands.md")
    assert [name for name in COMMANDS if f"sentimon {name}" not in pages] == []


def test_make_targets_named_in_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([\w.$()/-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for page in PAGES:
        shown = re.findall(r"(?:`|^\$ |^)make ([a-z][a-z-]*)", text_of(page), re.MULTILINE)
        assert set(shown) <= targets, page.name


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len(text_of(README).splitlines()) < 200
    assert len(text_of(DOCS / "architecture.md").splitlines()) < 250


def test_every_page_is_reached_from_the_readme() -> None:
    readme = text_of(README)
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in readme] == []


@pytest.mark.parametrize("page", names(PAGES))
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(ROOT / page)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", text_of(there), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
            assert anchor in slugs, target


@pytest.mark.parametrize("page", names([*PAGES, CARD]))
def test_no_measured_number_is_left_open(page: str) -> None:
    assert "TODO" not in text_of(ROOT / page)


def test_every_kind_of_source_and_channel_is_described() -> None:
    page = text_of(DOCS / "configuration.md")
    kinds = plugins.load(third_party=False)
    assert [kind for kind in (*kinds.collectors, *kinds.channels) if f'"{kind}"' not in page] == []


def test_every_key_of_the_configuration_is_described() -> None:
    page = text_of(DOCS / "configuration.md")
    models: list[type[BaseModel]] = [
        sections.FileSection,
        sections.BrandSection,
        sections.SourceSection,
        sections.ChannelSection,
    ]
    models += [sections.ModelConfig, sections.AlertsConfig, sections.WebConfig]
    kinds = plugins.load(third_party=False)
    models += [kind.options for kind in kinds.collectors.values()]
    models += [kind.options for kind in kinds.channels.values()]
    keys = [key for model in models for key in config.keys_of(model)]
    assert [key for key in keys if f"`{key}`" not in page] == []


def test_every_hook_is_described() -> None:
    page = text_of(DOCS / "plugins.md")
    assert [name for name in vars(plugins.Hooks) if not name.startswith("_") and f"`{name}`" not in page] == []


def test_every_label_is_described() -> None:
    page = text_of(DOCS / "labels.md")
    in_tables = (*SENTIMENTS, *STAGES, *PILLARS, *TOUCHPOINTS)
    assert [label for label in in_tables if f"| `{label}` |" not in page] == []
    assert [label for label in (UNSURE, *REPLIES, *EMOTIONS, *OFFENSIVE) if f"`{label}`" not in page] == []


def test_every_table_is_described(tmp_path: Path) -> None:
    import sqlite3

    Store(tmp_path / "s.db").close()
    rows = sqlite3.connect(tmp_path / "s.db").execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    page = text_of(DOCS / "tables.md")
    own = [name for (name,) in rows if not re.match(r"sqlite_|_sqlite|mentions_fts_", name)]
    assert [name for name in own if f"`{name}`" not in page] == []


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example plugin, installed as pip would: its module and its entry points on the path. Returns a folder."""
    site = tmp_path / "site"
    shutil.copytree(EXAMPLE, site)
    project = tomllib.loads(text_of(EXAMPLE / "pyproject.toml"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    lines = [f"{name} = {module}" for name, module in project["entry-points"]["sentimon"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[sentimon]", *lines]), encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("sentimon_notes", None)


def notes_app(folder: Path) -> App:
    shown = next(block for block in blocks(DOCS / "plugins.md", "toml") if "notes" in block and "sources" in block)
    brand = '[[brands]]\nname = "acme"\nquery = "acme"\n'
    (folder / "sentimon.toml").write_text(brand + shown, encoding="utf-8")
    return App(config.load(folder / "sentimon.toml", plugins.load()))


def note(folder: Path, name: str, text: str, posted: datetime) -> None:
    (folder / "notes").mkdir(exist_ok=True)
    (folder / "notes" / name).write_text(text, encoding="utf-8")
    os.utime(folder / "notes" / name, (posted.timestamp(), posted.timestamp()))


def test_the_example_plugin_collects_into_a_store(example: Path) -> None:
    app = notes_app(example)
    ((_, source),) = app.sources
    note(example, "1.txt", "The acme kettle leaks.", NOW.replace(hour=8))
    note(example, "2.txt", "Nothing to see here.", NOW.replace(hour=9))
    with app.store() as store:
        first = collect(store, source, app.config.brands, NOW)
        assert (first.counts["fetched"], first.counts["stored"], first.error) == (2, 1, None)
        (match,) = store.mentions.every(Filter())
        assert (match.brand, match.mention.source, match.mention.source_id) == ("acme", "notes", "1")
        assert match.mention.created_at == NOW.replace(hour=8)

        note(example, "3.txt", "Thank you, acme!", NOW.replace(hour=10))
        assert collect(store, source, app.config.brands, NOW).counts["stored"] == 1
        assert collect(store, source, app.config.brands, NOW).counts["stored"] == 0
        assert store.sources.gaps(10) == []

        shutil.rmtree(example / "notes")
        failed = collect(store, source, app.config.brands, NOW)
        assert failed.error is not None
        assert "cannot be read" in failed.error
        assert [gap.state for gap in store.sources.gaps(10)] == ["missing"]


def test_the_example_plugin_moves_its_cursor_with_the_last_batch_only(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = notes_app(example)
    monkeypatch.setattr("sentimon_notes.BATCH", 1)
    ((_, source),) = app.sources
    for hour in (8, 9, 10):
        note(example, f"{hour}.txt", "acme", NOW.replace(hour=hour))
    with app.store() as store:
        meter = StoreMeter(store, "notes", None, NOW)
        batches = list(source.collector.collect("notes", Position(), meter, NOW))
    last = str(int(NOW.replace(hour=10).timestamp()) * 1_000_000_000)
    assert [batch.cursor for batch in batches] == [None, None, last]


def test_the_example_plugin_delivers(example: Path) -> None:
    (outlet,) = notes_app(example).outlets.values()
    outlet.channel.send(Message("sentimon-1-1", "Negative spike: acme", "acme: 9 negative posts"))
    assert (example / "alerts.txt").read_text(encoding="utf-8").startswith("[sentimon-1-1] Negative spike: acme\n")


def test_the_code_in_the_plugin_guide_is_that_of_the_example() -> None:
    module = text_of(EXAMPLE / "sentimon_notes.py")
    shown = blocks(DOCS / "plugins.md", "python")
    assert shown
    assert [block for block in shown if block.strip() not in module] == []


@pytest.mark.parametrize("page", names(PAGES))
def test_every_configuration_shown_is_taken(page: str, example: Path) -> None:
    for block in blocks(ROOT / page, "toml"):
        if "[project" in block:
            continue
        brand = "" if "[[brands]]" in block else '[[brands]]\nname = "acme"\nquery = "acme"\n'
        head, bracket, rest = block.partition("[")  # keys of the top stand before the first section
        try:
            config.load_text(head + brand + bracket + rest, example / "x.toml", plugins.load(), {}, strict=False)
        except ConfigError as error:
            pytest.fail(f"{error}\n{block}")


def test_posts_without_a_brand_are_explained_where_they_are_met() -> None:
    assert NO_BRAND in text_of(DOCS / "configuration.md")
    assert NO_BRAND in text_of(DOCS / "architecture.md")


if __name__ == "__main__":
    target = DOCS / "commands.md"
    if sys.argv[1:] == ["--write"]:
        target.write_text(with_generated(text_of(target)), encoding="utf-8")
    else:
        sys.exit("usage: python -m tests.test_docs --write")
