"""The command `sentimon`."""

import sqlite3
from pathlib import Path
from typing import Any

import click

from db.errors import SentimonError

# command -> module and function; a module is imported when its command is called, so that --help is quick
COMMANDS = {
    "demo": "demo:demo",
    "init": "setup:init",
    "check": "setup:check",
    "plugins": "setup:list_plugins",
    "import": "posts:import_file",
    "export": "posts:export",
    "run": "run:run",
    "serve": "run:serve",
    "resume": "run:resume",
    "trends": "ask:trends",
    "alerts": "ask:alerts",
    "queue": "ask:queue",
    "mentions": "ask:mentions",
    "status": "ask:status",
    "score": "judge:score",
    "evaluate": "judge:evaluate",
    "train": "judge:train",
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

    def invoke(self, ctx: click.Context) -> Any:
        """Run, and say what a person can act on in one line."""
        try:
            return super().invoke(ctx)
        except SentimonError as error:
            click.echo(f"sentimon: {error}", err=True)
            ctx.exit(error.exit_code)
        except sqlite3.OperationalError as error:
            click.echo(f"sentimon: the database cannot be used now: {error}; nothing was changed", err=True)
            ctx.exit(1)


@click.group(cls=Commands)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration to use.")
@click.version_option(package_name="sentimon")
def main(config_path: Path | None) -> None:
    """Collect brand mentions, score them, flag negative spikes, and list the posts to answer."""
