"""From HTML to the words that a person reads, and texts that any database can hold.

BeautifulSoup takes minutes over 100,000 characters of tags without an end, and anybody may post those. What html.parser
would go back over is set aside first, so that the time grows with the length alone.
"""

import html
import re
from html.parser import HTMLParser

_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which JSON can spell and no database stores
_BREAKS = {"address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "figure", "hr", "li", "ol", "p", "pre"}
_BREAKS |= {"section", "table", "tr", "ul", "h1", "h2", "h3", "h4", "h5", "h6"}
_UNSEEN = ("script", "style", "template")
_DECLARED = re.compile(r"<[!?][^<>]*>")
_NO_TAG = re.compile(r"<(?!/?[A-Za-z][^<>]*>)")


def text_of(markup: str) -> str:
    """Return the text of an HTML fragment: paragraphs and line breaks become line breaks, all else is unwrapped."""
    if "<" not in markup:
        return lines_of(html.unescape(markup))
    reader = _Reader()
    reader.feed(_NO_TAG.sub("&lt;", _DECLARED.sub("", _without_comments(markup))))
    reader.close()
    return lines_of("".join(reader.read))


def lines_of(text: str) -> str:
    """Return a text without empty lines and runs of spaces."""
    lines = (" ".join(line.split()) for line in clean(text).splitlines())
    return "\n".join(line for line in lines if line)


def line_of(text: str) -> str:
    """Return a text in one line: a name, a title."""
    return " ".join(clean(text).split())


def clean(text: str) -> str:
    """Drop what no database stores: NUL characters and halves of characters."""
    return _SURROGATE.sub("\ufffd", text.replace("\0", ""))


class _Reader(HTMLParser):
    """Keeps what stands between the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _BREAKS:
            self.read.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(self._unseen - 1, 0)
        elif tag in _BREAKS:
            self.read.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.read.append(data)


def _without_comments(markup: str) -> str:
    first, *rest = markup.split("<!--")
    return first + "".join(part.partition("-->")[2] for part in rest)
