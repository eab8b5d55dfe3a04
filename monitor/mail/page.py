"""Messages as documents for e-mail: tables and inline styles, since mail programs know little else."""

from functools import cache
from typing import TYPE_CHECKING

from jobs.letter import Letter

if TYPE_CHECKING:
    from jinja2 import Template


def page(letter: Letter) -> str:
    """Write a letter as an HTML document that fetches nothing; everything in it is escaped."""
    return _template().render(letter=letter)


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("monitor", "mail"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("letter.html")
