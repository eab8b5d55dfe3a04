"""`sentimon datasette`: SQL for those who want it."""

from pathlib import Path

import click

from monitor.cli.options import open_app, with_config


@click.command()
@click.option(
    "--export",
    "to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a copy of the database without logins, tokens and keys, and the metadata for that copy.",
)
@with_config
def datasette(to: Path | None, config_path: Path | None) -> None:
    """Print what Datasette is told about the database, or write a copy for it.

    `sentimon datasette > metadata.yaml` names tables and columns, denies those that hold logins and keys, and holds
    questions that are ready to ask. With
    --export, on the copy people may ask anything in SQL; on the database itself, only those questions.
    """
    from db.share import share
    from monitor.datasette import metadata

    database = open_app(config_path).config.database
    if to is not None:
        share(database, to)
    click.echo(metadata((to or database).stem, copy=to is not None), nl=False)
