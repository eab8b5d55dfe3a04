"""`sentimon replies`: what becomes of the answers that people write, and those of which nobody knows."""

from pathlib import Path

import click

from db.desk import REPLY_STATES, Case, Reply, User
from db.errors import InputError
from db.store import Store
from jobs.desk.answer import say_not_sent, say_sent
from jobs.reply import look as look_for
from monitor import shapes
from monitor.app import utc_now
from monitor.cli import output
from monitor.cli.alerts import NUMBER, with_name
from monitor.cli.label import user_name
from monitor.cli.listing import LISTING
from monitor.cli.options import Words, open_app, with_config, with_json

OPEN = ("waiting", "returned", "queued", "sending", "failed", "unknown")  # what the list shows unless told otherwise
MOST = 200


@click.group(cls=LISTING, default="list", default_if_no_args=True)
def replies() -> None:
    """List answers by what became of them, and say of an uncertain one whether it was sent."""


@replies.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(REPLY_STATES), help="Only these.  [default: what is open]"
)
@with_json
@with_config
def list_replies(states: tuple[str, ...], as_json: bool, config_path: Path | None) -> None:
    """List replies: who wrote what to whom, and what became of it."""
    app = open_app(config_path)
    with app.store() as store:
        listed = store.replies.in_states(states or OPEN, limit=MOST)
        found = [(reply, case) for reply in listed if (case := store.cases.get(reply.case_id))]
    if as_json:
        output.print_json([shapes.reply_json(reply, case) for reply, case in found])
        return
    if not found:
        click.echo("No replies." if states else "No reply is open.")
    for reply, case in found:
        _print(reply, case)


@replies.command()
@click.argument("reply_id", metavar="REPLY", type=NUMBER)
@click.option("--url", type=Words(), help="Where it is.")
@with_name
@with_config
def sent(reply_id: int, url: str | None, who: str | None, config_path: Path | None) -> None:
    """Say that a reply of which nobody knows was sent: you saw it there."""
    app = open_app(config_path)
    with app.store() as store, store.transaction():
        say_sent(store, _known(store, reply_id).case_id, _me(who), utc_now(), url=url)
    click.echo(f"reply {reply_id} was sent")


@replies.command("not-sent")
@click.argument("reply_id", metavar="REPLY", type=NUMBER)
@click.option("--again", is_flag=True, help="Send it as it is. Else it is a draft again.")
@with_name
@with_config
def not_sent(reply_id: int, again: bool, who: str | None, config_path: Path | None) -> None:
    """Say that a reply of which nobody knows was not sent: you looked, and it is not there."""
    app = open_app(config_path)
    with app.store() as store, store.transaction():
        say_not_sent(store, _known(store, reply_id).case_id, _me(who), utc_now(), again=again)
    click.echo(f"reply {reply_id} {'will be sent' if again else 'is a draft again'}")


@replies.command()
@click.argument("reply_id", metavar="REPLY", type=NUMBER)
@with_config
def look(reply_id: int, config_path: Path | None) -> None:
    """Ask the platform whether it shows a reply of which nobody knows."""
    app = open_app(config_path)
    with app.store() as store:
        _known(store, reply_id)
        found = look_for(store, app.outbox, reply_id, utc_now())
    if found is None:
        click.echo(
            f"reply {reply_id} was not found; that proves nothing, so look yourself and say `sent` or `not-sent`"
        )
    else:
        click.echo(output.printable(f"reply {reply_id} was sent: {found.url or found.remote_id}"))


def _known(store: Store, reply_id: int) -> Reply:
    reply = store.replies.get(reply_id)
    if reply is None:
        raise InputError(f"no reply {reply_id}; `sentimon replies` lists them with their numbers")
    if reply.state != "unknown":
        raise InputError(f"reply {reply_id} is {reply.state}: nothing is unknown of it")
    last = store.replies.last(reply.case_id)
    if last is None or last.id != reply_id:
        raise InputError(f"reply {reply_id} is not the last one to its post; see its case on the desk")
    return reply


def _me(who: str | None) -> User:
    """Whoever may use the command line may read and write the database."""
    return User(0, who or user_name(), "admin")


def _print(reply: Reply, case: Case) -> None:
    mention = case.match.mention
    click.secho(output.printable(f"reply {reply.id}  {reply.state}"), bold=True)
    to = mention.author or "somebody"
    click.echo(output.printable(f"  to {to} on {mention.source}: {output.shorten(mention.shown)}"))
    click.echo(output.printable(f"  {reply.author}, {output.utc(reply.updated_at)} UTC: {output.shorten(reply.text)}"))
    for line in (
        f"waits until {output.utc(reply.not_before)} UTC" if reply.not_before else None,
        f"sent back by {reply.decided_by}: {reply.remark}" if reply.state == "returned" else None,
        reply.error,
        reply.url,
        f"look at {mention.url or 'the post'}, then: sentimon replies sent {reply.id}, or not-sent {reply.id}"
        if reply.state == "unknown"
        else None,
    ):
        if line:
            click.echo(output.printable(f"  {line}"))
