"""The model card: a page written from what was measured, never by hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TEMPLATE = Path(__file__).with_name("card.md.jinja")


def write(folder: Path) -> None:
    """Write README.md beside `measures.json` in the folder of a model."""
    measures = json.loads((folder / "measures.json").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(render(measures), encoding="utf-8")


def render(measures: Mapping[str, Any]) -> str:
    """Fill in the card's template."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters |= {"share": _share, "interval": _interval}
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(measures)


def _share(value: Mapping[str, float] | float | None) -> str:
    """Write a figure by itself."""
    if value is None:
        return ""
    return f"{value['value'] if isinstance(value, Mapping) else value:.3f}"


def _interval(value: Mapping[str, float] | None) -> str:
    """Write a figure and its interval."""
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})" if value else ""
