"""The model that a command judges with."""

from pathlib import Path

import click

from db.errors import ConfigError
from models import classifier
from models.classifier import Classifier
from monitor import config, plugins
from monitor.app import App


def open_classifier(path: Path | None) -> Classifier:
    """Load the model in force; without a configuration, the bundled one."""
    named = path or click.get_current_context().find_root().params.get("config_path")
    try:
        found = config.find(named)
    except ConfigError:
        if named:
            raise
        return classifier.load("bundled")
    return App(config.load(found, plugins.load(), strict=False)).classifier
