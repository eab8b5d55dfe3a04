"""Who may log in to the pages, and the tokens of programs."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from db.desk import ROLES, SCOPES, User
from db.errors import InputError
from db.store import Store
from monitor import accounts
from monitor.app import App, utc_now
from monitor.cli import output
from monitor.cli.listing import LISTING
from monitor.cli.options import Words, open_app, with_config, with_json

with_name = click.argument("name", type=Words())
with_brands = click.option(
    "--brand", "brands", multiple=True, type=Words(), help="See only this brand; may be repeated."
)
with_password = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@click.group(cls=LISTING, default="list", default_if_no_args=True)
def users() -> None:
    """Say who may log in to the pages, and what they may do."""


@users.command("list")
@with_json
@with_config
def list_users(as_json: bool, config_path: Path | None) -> None:
    """List users with their roles and brands."""
    with open_app(config_path).store() as store:
        found = store.users.every()
        devices = {user.id: len(store.sessions.of_user(user.id)) for user in found}
    if as_json:
        output.print_json(
            [
                {"name": user.name, "role": user.role, "brands": user.brands, "disabled": user.disabled_at is not None}
                | {"password": user.has_password, "openid": user.subject is not None, "sessions": devices[user.id]}
                for user in found
            ]
        )
    elif not found:
        click.echo("No users: the pages are for this machine alone. `sentimon users add NAME --role admin` adds one.")
    else:
        rows = [
            [
                user.name,
                user.role,
                "all" if user.brands is None else ", ".join(user.brands),
                "disabled" if user.disabled_at else "no password yet" if not _can_log_in(user) else "",
                devices[user.id],
            ]
            for user in found
        ]
        output.print_table("", ["name", "role", "brands", "", "sessions"], rows, right=["sessions"])


def _can_log_in(user: User) -> bool:
    return user.has_password or user.subject is not None


@users.command()
@with_name
@click.option("--role", required=True, type=click.Choice(ROLES), help="What they may do.")
@with_brands
@with_password
@with_config
def add(name: str, role: str, brands: tuple[str, ...], password_stdin: bool, config_path: Path | None) -> None:
    """Add a user; asks for the password."""
    app = open_app(config_path)
    with app.store() as store:
        name = accounts.check_name(name)
        if store.users.named(name):
            raise InputError(f"there is a user {name} already; `sentimon users passwd` changes a password")
        seen = _brands(app, store, brands)
        password = _password(name, password_stdin)
        with store.transaction():
            accounts.add(store, name, role, seen, password, utc_now())
    click.echo(output.printable(f"{name} may log in, with the role {role}"))


@users.command()
@with_name
@with_password
@with_config
def passwd(name: str, password_stdin: bool, config_path: Path | None) -> None:
    """Change a password, and end all sessions of the user."""
    with open_app(config_path).store() as store:
        user = accounts.known(store, name)
        password = _password(user.name, password_stdin)
        with store.transaction():
            accounts.set_password(store, user, password)
    click.echo(output.printable(f"{user.name} has another password, and is logged in nowhere"))


@users.command()
@with_name
@click.argument("role", type=click.Choice(ROLES))
@with_config
def role(name: str, role: str, config_path: Path | None) -> None:
    """Give a user another role."""
    with open_app(config_path).store() as store, store.transaction():
        user = accounts.known(store, name)
        accounts.change(store, user, role, user.brands)
    click.echo(output.printable(f"{user.name} has the role {role}"))


@users.command()
@with_name
@with_brands
@click.option("--all", "every", is_flag=True, help="See all brands.")
@with_config
def brands(name: str, brands: tuple[str, ...], every: bool, config_path: Path | None) -> None:
    """Say which brands a user sees."""
    if every == bool(brands):
        raise click.UsageError("name either --brand, once for each, or --all")
    app = open_app(config_path)
    with app.store() as store, store.transaction():
        user = accounts.known(store, name)
        seen = _brands(app, store, brands)
        accounts.change(store, user, user.role, seen)
    click.echo(output.printable(f"{user.name} sees {'all brands' if seen is None else ', '.join(seen)}"))


@users.command()
@with_name
@with_config
def disable(name: str, config_path: Path | None) -> None:
    """Let a user in no more; sessions end and tokens do not work."""
    with open_app(config_path).store() as store, store.transaction():
        user = accounts.known(store, name)
        accounts.disable(store, user, utc_now())
    click.echo(output.printable(f"{user.name} may log in no more"))


@users.command()
@with_name
@with_config
def enable(name: str, config_path: Path | None) -> None:
    """Let a user in again."""
    with open_app(config_path).store() as store, store.transaction():
        user = accounts.known(store, name)
        accounts.enable(store, user)
    click.echo(output.printable(f"{user.name} may log in again"))


@users.command()
@with_name
@click.option("--end", is_flag=True, help="End them all.")
@with_config
def sessions(name: str, end: bool, config_path: Path | None) -> None:
    """List the devices on which a user is logged in, or end all sessions."""
    with open_app(config_path).store() as store:
        user = accounts.known(store, name)
        found = store.sessions.of_user(user.id)
        if end:
            with store.transaction():
                store.sessions.end_all(user.id)
    if not found:
        click.echo(output.printable(f"{user.name} is logged in nowhere"))
    for session in found:
        device = session.device or "a device that does not say what it is"
        click.echo(output.printable(f"{'ended: ' if end else ''}last seen {output.utc(session.seen_at)} UTC, {device}"))


@click.group(cls=LISTING, default="list", default_if_no_args=True)
def tokens() -> None:
    """Make, list and revoke the keys with which programs use the REST API."""


@tokens.command("list")
@with_json
@with_config
def list_tokens(as_json: bool, config_path: Path | None) -> None:
    """List tokens: whose they are, what they may do, when they were used last."""
    with open_app(config_path).store() as store:
        names = {user.id: user.name for user in store.users.every()}
        found = store.tokens.every()
    when = {token.id: (output.utc(token.ends_at) if token.ends_at else None) for token in found}
    used = {token.id: (output.utc(token.used_at) if token.used_at else None) for token in found}
    if as_json:
        output.print_json(
            [
                {"id": token.id, "name": token.name, "user": names[token.user_id], "scopes": token.scopes}
                | {"ends": when[token.id], "used": used[token.id]}
                for token in found
            ]
        )
    elif not found:
        click.echo("No tokens.")
    else:
        rows = [
            [
                token.id,
                token.name,
                names[token.user_id],
                " ".join(token.scopes),
                when[token.id] or "never",
                used[token.id] or "never",
            ]
            for token in found
        ]
        output.print_table("", ["number", "name", "user", "scopes", "ends", "used"], rows, right=["number"])


@tokens.command("add")
@with_name
@click.option("--user", "owner", required=True, type=Words(), help="For whom it acts.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do; may be repeated.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good.  [default: until it is revoked]")
@with_config
def add_token(name: str, owner: str, scopes: tuple[str, ...], days: int | None, config_path: Path | None) -> None:
    """Make a token and print it, once."""
    with open_app(config_path).store() as store, store.transaction():
        user = accounts.known(store, owner)
        _, key = accounts.new_token(store, user, name, scopes, days, utc_now())
    click.echo(key)


@tokens.command()
@click.argument("token_id", metavar="NUMBER", type=click.IntRange(1, 2**31))
@with_config
def revoke(token_id: int, config_path: Path | None) -> None:
    """Let a token work no more."""
    with open_app(config_path).store() as store, store.transaction():
        gone = store.tokens.revoke(token_id)
    if not gone:
        raise InputError(f"no token {token_id}; `sentimon tokens` lists them with their numbers")
    click.echo(f"token {token_id} is revoked")


def _password(name: str, from_stdin: bool) -> str:
    """Ask for a password, twice on a terminal, and check it."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    else:
        raise click.UsageError("there is no terminal to ask for the password: --password-stdin reads it")
    accounts.check_password(password, name)
    return password


def _brands(app: App, store: Store, named: Sequence[str]) -> list[str] | None:
    """Write brands as they are stored; None, for all, where none is named."""
    known = {brand.name for brand in app.config.brands} | set(store.mentions.brands())
    folded = {brand.casefold(): brand for brand in sorted(known)}
    for name in named:
        if name.casefold() not in folded:
            raise InputError(f"no brand {name!r}; there are: {', '.join(sorted(known))}")
    return list(dict.fromkeys(folded[name.casefold()] for name in named)) or None
