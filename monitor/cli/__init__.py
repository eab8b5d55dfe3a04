"""The command `sentimon`."""

import errno
import io
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from db.errors import SentimonError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)

# command -> module and function; a module is imported when its command is called, so that --help is quick
COMMANDS = {
    "demo": "demo:demo",
    "try": "first:first_look",
    "init": "setup:init",
    "check": "setup:check",
    "query": "query:query",
    "plugins": "setup:list_plugins",
    "import": "posts:import_file",
    "export": "posts:export",
    "datasette": "datasette:datasette",
    "run": "run:run",
    "backfill": "past:backfill",
    "serve": "run:serve",
    "users": "users:users",
    "tokens": "users:tokens",
    "resume": "run:resume",
    "trends": "ask:trends",
    "report": "report:report",
    "alerts": "alerts:alerts",
    "queue": "ask:queue",
    "replies": "replies:replies",
    "mentions": "ask:mentions",
    "status": "ask:status",
    "score": "score:score",
    "label": "label:label",
    "verdicts": "verdicts:verdicts",
    "evaluate": "evaluate:evaluate",
    "train": "train:train",
    "models": "own:list_models",
    "rescore": "own:rescore",
    "forget": "past:forget",
}


class Commands(click.Group):
    """Loads commands when they are needed, and ends errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        import importlib

        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(f"monitor.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their help, without importing what they need."""
        from monitor.cli.tour import TOUR

        with formatter.section("Commands"):
            formatter.write_dl([(name, TOUR[name]) for name in COMMANDS])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where one is mistyped."""
        import difflib

        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            raise click.UsageError(f"no command {name!r}" + (f"; did you mean {near[0]}?" if near else ""), ctx)
        return super().resolve_command(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the options that stand before the command."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise _OneLine(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run, and say what a person can act on in one line."""
        _mend_output()
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # what cannot be written is told here; at the interpreter's end it is too late
        except click.UsageError as error:
            raise _OneLine(error) from error
        except SentimonError as error:
            _end(ctx, str(error), error.exit_code)
        except sqlite3.DatabaseError as error:
            if type(error) not in (sqlite3.OperationalError, sqlite3.DatabaseError):
                raise
            _end(ctx, f"the database cannot be used now: {error}")
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            _drop_output()
            _end(ctx, f"cannot write{f' {error.filename}' if error.filename else ''}: {error.strerror}; make room")


class _OneLine(click.ClickException):
    """A command line that cannot be used."""

    exit_code = 2

    def __init__(self, error: click.UsageError) -> None:
        path = error.ctx.command_path if error.ctx else "sentimon"
        message = error.format_message().strip().rstrip(".")
        super().__init__(f"{message}{'' if message.endswith('?') else ';'} see `{path} --help`")

    def show(self, file: Any = None) -> None:
        """Write it as every other error is written."""
        click.echo(f"sentimon: {_one_line(self.message)}", err=True)


def _end(ctx: click.Context, message: str, exit_code: int = 1) -> NoReturn:
    click.echo(f"sentimon: {_one_line(message)}", err=True)
    ctx.exit(exit_code)


def _one_line(message: str) -> str:
    """A file's name or a platform's answer may hold line breaks, and signs that rewrite a terminal."""
    return "".join(ch if ch.isprintable() else " " for ch in " ".join(message.split()))


def _mend_output() -> None:
    """Let no sign that the terminal cannot show end a command, nor an output that was closed."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it stays open as long as we run
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Send what is still in the buffer nowhere, so that it is not tried again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@click.group(cls=Commands)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration to use.")
@click.version_option(package_name="sentimon")
def main(config_path: Path | None) -> None:
    """Collect brand mentions, score them, flag negative spikes, and list the posts to answer."""
