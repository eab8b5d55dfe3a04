"""Messages as documents for e-mail: tables and inline styles, since mail programs know little else."""

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from jobs.letter import Letter

if TYPE_CHECKING:
    from jinja2 import Template


def page(letter: Letter) -> str:
    """Write a letter as an HTML document that fetches nothing; everything in it is escaped."""
    return _template().render(letter=letter)


def embedded(html: str, pictures: Mapping[str, bytes]) -> str:
    """Put the pictures of a document into it, so that it is one file; no text in it can stand for one of them."""
    for name, png in pictures.items():
        html = html.replace(f'src="cid:{name}"', f'src="data:image/png;base64,{b64encode(png).decode()}"')
    return html


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
