"""What a team's verdicts are for: measuring the model on its own posts, and training versions of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import InputError
from db.labels import GUIDE
from db.records import Registered
from db.store import Store
from monitor.app import App, utc_now
from monitor.cli import output
from monitor.cli.options import make_filter, open_app, settle, with_config, with_filter, with_json
from monitor.words import counted

if TYPE_CHECKING:
    from models.examples import Example
    from models.finetune import Judged, Trial

FEW = 30  # posts: fewer say little


def examples_at_random(app: App) -> "list[Example]":
    """Return the posts that were drawn at random and judged, less those that the model in force has learned from.

    Says on standard error what was left out, and where there are few.
    """
    from models.examples import Example
    from models.recipe import letters

    model = app.registered()
    if model:
        app.folder_of(model)  # is it there?
    with app.store() as store:
        found = _by_post(store)
        known = store.verdicts.judged_by(model.created_at) if model else set()
    drawn = [one.as_drawn() for _, one in found if one.random]
    if not drawn:
        raise InputError("no verdicts on posts drawn at random to measure on; give some with `sentimon label`")
    # A version learns from the posts that were judged by its day, whatever was said of them since, but those held out.
    learned = {letters(one.post.text) for match_id, one in found if match_id in known and not one.held_out}
    fresh = [one for one in drawn if letters(one.post.text) not in learned]
    if len(drawn) < len(found):
        _note(f"{counted(len(found) - len(drawn), 'verdict')} left out: on posts that were not drawn at random")
    if model and len(fresh) < len(drawn):
        _note(f"{counted(len(drawn) - len(fresh), 'verdict')} left out: {model.name} has learned from these posts")
    if not fresh:
        raise InputError("the model has learned from all of them; give verdicts on other posts with `sentimon label`")
    if len(fresh) < FEW:
        _note(
            f"measured on {counted(len(fresh), 'post')} only: the figures may be far off, and the intervals are too "
            "narrow for so few"
        )
    return [Example(one.post.text, one.post.brand, one.labels, source=one.source) for one in fresh]


def train_from_verdicts(app: App, output_folder: Path | None) -> None:
    """Train the bundled model on all verdicts; keep and use the result if it is better than the model in force."""
    from models import classifier
    from models.finetune import attempt

    if app.config.model.name != "bundled":
        raise InputError(
            f'[model] name is {app.config.model.name!r}: only the bundled model learns from verdicts; name it "bundled"'
        )
    in_force = app.registered()
    current = app.folder_of(in_force) if in_force else classifier.BUNDLED
    with app.store() as store:
        posts = [post for _, post in _by_post(store)]
        name, folder = _next(app, store.models.all(), output_folder)
    started = utc_now()
    with _beside(folder) as work:
        trial = attempt(classifier.BUNDLED, current, posts, work / name, app.config.model.languages)
        old = in_force.name if in_force else trial.base
        if not trial.better:
            _print_trial(trial, old, name, len(posts))
            click.echo(f"{name} is not kept: it is no better than {old}, which stays in force")
            return
        trained = work / name
        with app.store() as store, store.transaction():  # a training that ended meanwhile may have taken the name
            name, folder = _next(app, store.models.all(), output_folder)
            try:
                trained.rename(folder)
            except OSError as error:
                raise _cannot_hold(folder, error) from error
            where, measures = _relative(app, folder), trial.measures()
            made = Registered(name, where, trial.base, started, trial.learned, measures, in_force=True)
            store.models.register(made)
    _print_trial(trial, old, name, len(posts))
    click.echo(f"{name} is kept in {folder} and judges new posts from now on; old posts keep their labels")
    click.echo("`sentimon rescore --since 30d` judges old posts anew, `sentimon models use bundled` goes back")


@click.group("models", invoke_without_command=True)
@with_json
@with_config
@click.pass_context
def list_models(ctx: click.Context, as_json: bool, config_path: Path | None) -> None:
    """List the versions of the model that were trained here, and which one judges.

    `sentimon train --from-verdicts` makes one, `sentimon models use NAME` puts another in force.
    """
    if ctx.invoked_subcommand:
        ctx.obj = config_path
        return
    app = open_app(config_path)
    with app.store() as store:
        found = store.models.all()
    ours = app.config.model.name == "bundled"
    bundled_judges = not ours or not any(model.in_force for model in found)
    if as_json:
        output.print_json(
            [{"name": app.config.model.name, "in_force": bundled_judges}]
            + [_model_json(model, model.in_force and ours) for model in found]
        )
        return
    rows: list[list[object]] = [["yes" if bundled_judges else "", app.config.model.name, *[""] * (len(GUIDE) + 4)]]
    for model in found:
        measured = [f"{model.measures[key]:.3f}" if key in model.measures else "-" for key in (*GUIDE, "mean")]
        judges = "yes" if model.in_force and ours else ""
        rows.append([judges, model.name, output.utc(model.created_at), model.base, model.posts, *measured])
    numbers = ["posts", *GUIDE, "mean"]
    output.print_table(
        "Models; macro F1 on the verdicts held out when they were trained",
        ["judges", "model", "trained (UTC)", "from", *numbers],
        rows,
        numbers,
    )


@list_models.command("use")
@click.argument("name")
@with_config
@click.pass_context
def use_model(ctx: click.Context, name: str, config_path: Path | None) -> None:
    """Let the model NAME judge new posts; `bundled` goes back to the bundled one. Old scores stay."""
    app = open_app(config_path or ctx.obj)
    if app.config.model.name != "bundled":
        raise InputError(f'[model] name is {app.config.model.name!r}, which judges; name it "bundled" to use others')
    with app.store() as store, store.transaction():
        store.models.use(None if name == "bundled" else name)
        if found := store.models.in_force():
            app.folder_of(found)  # is it there?
    click.echo(f"{name} judges new posts from now on; `sentimon rescore` judges old ones anew")


@click.command()
@with_filter
@with_config
def rescore(config_path: Path | None, **options: Any) -> None:
    """Let the model in force judge posts anew that another one has judged.

    Old scores are kept beside the new ones, and what people have said stays in force. A run that was stopped goes on
    where it was. Can be used while `sentimon run` is at work.
    """
    from jobs.score import rescore as judge_anew

    chosen = make_filter(options)
    app = open_app(config_path)
    with app.store() as store:
        chosen = settle(chosen, app, store)
        classifier = app.classifier  # to the end, whichever is put in force meanwhile
        ids = store.mentions.judged_by_others(classifier.name, chosen)
        with output.progress("scoring", len(ids)) as show:
            count = judge_anew(store, classifier, ids, utc_now, lambda done: show(done, done))
    click.echo(f"{counted(count, 'post')} judged anew by {classifier.name}")


def _by_post(store: Store) -> "list[tuple[int, Judged]]":
    """Put together what people say of each post, whoever says it, beside the id of its match."""
    from models.finetune import judged

    by_match = groupby(store.verdicts.all(), key=lambda found: found[0].id)
    parts = [list(found) for _, found in by_match]
    return [(found[0][0].id, judged(found[0][0], *(verdict for _, verdict in found))) for found in parts]


def _note(text: str) -> None:
    click.echo(f"sentimon: {text}", err=True)


def _next(app: App, known: list[Registered], folder: Path | None) -> tuple[str, Path]:
    """Name the next version, and the folder that it goes to, which must not be there yet."""
    beside = (app.config.database.parent / "models").absolute()
    taken = {model.name for model in known}
    number = 1
    while f"own-{number}" in taken or (folder is None and (beside / f"own-{number}").exists()):
        number += 1
    name = f"own-{number}"
    try:
        if folder is not None and folder.exists():
            raise InputError(f"{folder}: is there already; name a new folder with --output")
    except OSError as error:  # nobody may look there, or the name is too long
        raise _cannot_hold(folder, error) from error
    return name, folder.absolute() if folder else beside / name


def _cannot_hold(folder: Path | None, error: OSError) -> InputError:
    return InputError(f"{folder}: cannot hold the model: {error.strerror}; name another with --output")


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Give a folder to work in beside one that is to be; what had to be made for it goes again if nothing is kept."""
    import tempfile

    made = [each for each in folder.parents if not os.path.exists(each)]  # the innermost first
    try:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside = tempfile.TemporaryDirectory(prefix=".training-", dir=folder.parent)
        except OSError as error:
            raise _cannot_hold(folder, error) from error
        with beside as work:
            yield Path(work)
    finally:
        for each in made:
            with suppress(OSError):  # something is kept in it, or it was never made
                each.rmdir()


def _relative(app: App, folder: Path) -> str:
    """Write a folder beside the database so that both can be moved together."""
    home = app.config.database.parent.absolute()
    return str(folder.relative_to(home) if folder.is_relative_to(home) else folder)


def _print_trial(trial: "Trial", old: str, new: str, verdicts: int) -> None:
    chosen = "drawn at random and held out" if trial.random else "held out"
    click.echo(
        f"{counted(verdicts, 'verdict')}: {counted(trial.learned, 'post')} to learn from, {trial.held_out} to measure "
        f"on, {chosen}"
    )
    if not trial.random:
        _note(f"fewer than {FEW} of the posts held out were drawn at random, so that all of them are measured on")
    rows: list[list[object]] = [
        [question, before.posts, f"{before.macro_f1.value:.4f}", f"{trial.after[question].macro_f1.value:.4f}"]
        for question, before in trial.before.items()
    ]
    rows.append(["mean", "", f"{trial.mean_before:.4f}", f"{trial.mean_after:.4f}"])
    output.print_table("Macro F1", ["question", "posts", old, new], rows, ["posts", old, new])


def _model_json(model: Registered, judges: bool) -> dict[str, Any]:
    return {
        "name": model.name,
        "in_force": judges,
        "trained": model.created_at.isoformat(),
        "from": model.base,
        "folder": model.folder,
        "posts": model.posts,
        "macro_f1": dict(model.measures),
    }
