"""What a post looks like to a model: one normal form, the same in training and in use."""

import html
import re

LONGEST = 2_000  # characters kept: far beyond the 128 tokens read, so that a huge post costs no more than a long one

_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_HANDLE = re.compile(r"(?<![\w@])@(\w+(?:\.[\w-]+)*)")
_ELONGATED = re.compile(r"(\w)\1{3,}")
_INVISIBLE = re.compile(r"[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b-\x1f]")
_SPACE = re.compile(r"\s+")
_NAME_GAP = r"[\s_.'&-]*"  # between the words of a name: "Moto G", "moto-g", "MotoG"
OPENS, CLOSES = "«", "»"  # around the brand: rare in posts, and a token each


def normalise(text: str, brand: str | None = None) -> str:
    """Replace what carries no feeling (links, other people's handles) and spell out emoji.

    A handle that names the brand stays, so that a model can see whom the post speaks to.
    """
    import emoji

    text = html.unescape(text[:LONGEST])
    text = _INVISIBLE.sub("", text)
    text = _LINK.sub("http", text)
    wanted = _letters(brand) if brand else ""

    def handle(match: re.Match[str]) -> str:
        name = _letters(match[1])
        return match[0] if wanted and name and (wanted in name or name in wanted) else "@user"

    text = _HANDLE.sub(handle, text)
    if not text.isascii():
        text = emoji.demojize(text, delimiters=(" ", " ")).replace("_", " ")
    text = _ELONGATED.sub(r"\1\1\1", text)
    return _SPACE.sub(" ", text).strip()


def mark(text: str, brand: str) -> str:
    """Put marks around each place that names the brand, handles and hashtags that have its name in them included.

    A small model sees at once whom a post is judged for, where it would overlook a name told beside the text.
    """
    name = _NAME_GAP.join(map(re.escape, re.findall(r"[^\W_]+", brand)))
    if not name:
        return text
    named = rf"(?<![\w@#])(?:[@#]\w*{name}\w*|{name}(?:'?s)?)(?!\w)"
    return re.sub(named, rf"{OPENS} \g<0> {CLOSES}", text, flags=re.IGNORECASE)


def _letters(name: str) -> str:
    return "".join(ch for ch in name.casefold() if ch.isalnum())
