"""From HTML to the words that a person reads, and texts that any database can hold."""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which JSON can spell and no database stores
_BLOCKS = ("p", "div", "li", "blockquote", "h1", "h2", "h3", "tr", "pre")


def text_of(html: str) -> str:
    """Return the text of an HTML fragment: paragraphs and line breaks become line breaks, all else is unwrapped."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for unseen in soup(["script", "style", "template"]):
        unseen.decompose()
    for line_break in soup("br"):
        line_break.replace_with("\n")
    for block in soup(list(_BLOCKS)):
        block.append("\n")
    lines = (" ".join(line.split()) for line in soup.get_text().splitlines())
    return clean(re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip())


def clean(text: str) -> str:
    """Drop what no database stores: NUL characters and halves of characters."""
    return _SURROGATE.sub("\ufffd", text.replace("\0", ""))
