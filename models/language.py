"""Which language a post is written in, and whether a model for given languages should judge it.

Identification is py3langid's, over the languages common on social platforms. Posts are short and full of names, so
the question asked is not "what is the likeliest language" but "is it clear that this is another one": a post is left
out only when the languages wanted have next to no probability. With the limits below, at most 0.25 % of the posts of
any of five collected sets, nearly all English, are called foreign, and 95 of 96 foreign texts cut to five words are.
"""

import functools
import html
import re
import unicodedata
from collections.abc import Set
from typing import Any

from db.errors import InputError

ENGLISH = frozenset({"en"})
_CODES = (
    "ar bg bn ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv ms nl no pl pt ro ru sk sl sr sv sw ta te"
    " th tl tr uk ur vi zh"
)
COMMON = frozenset(_CODES.split())
LONGEST = 1_000  # characters read
SURE = 0.5  # probability from which a language is named

# A post is in another language when the wanted ones together have a probability below the limit. By the number of
# words: five and more, three and four, fewer (never, in Latin letters: "nope" is Finnish as much as English).
_LIMITS = (0.05, 0.01, 0.0)
_LIMITS_IF_HINT_SAYS_OTHER = (0.5, 0.1, 0.02)
_LIMITS_IF_HINT_SAYS_WANTED = (0.01, 0.002, 0.0)
_LIMIT_OTHER_SCRIPT = 0.5  # two letters of Thai are enough

_NOISE = re.compile(r"(?:https?://|www\.)\S+|\bhttps?\b|(?<!\w)[@#$][\w.-]+|^\s*RT\b:?", re.IGNORECASE)
_BARE = re.compile(r"(?:https?://|www\.)\S+|(?<!\w)@[\w.-]+|^\s*RT\b:?", re.IGNORECASE)
_NO_LETTER = re.compile(r"[^\w\s']|[\d_]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_ELONGATED = re.compile(r"(\w)\1{2,}")
_EMOTICON = re.compile(r"[:;=xX8][-'^o]?[()\[\]DdPpOo/\\|*3]|<3|[-^T;><][_.][-^T;><]")
_ALIASES = {"in": "id", "iw": "he", "nb": "no", "nn": "no", "fil": "tl", "jw": "jv"}  # as platforms name them


def detect(text: str) -> str | None:
    """Name the language of a post (ISO 639-1), or None where there is too little to tell."""
    words = _words(text)
    if not _enough(words):
        return None
    language, probability = _rank(words, frozenset())[0]
    return language if probability >= SURE else None


def is_rated(text: str, languages: Set[str] | None = ENGLISH, hint: str | None = None) -> tuple[bool, str | None]:
    """Say whether a model for these languages (None: for all) should judge a post, and the language if it can be told.

    `hint` is what the platform says: it moves the limits but never decides alone, for platforms tag badly too.
    A post without words, emoji or emoticons is not rated.
    """
    hint = hint_code(hint)
    if not _says_something(text):
        return False, hint
    if languages is None:
        return True, detect(text) or hint
    words = _words(text)
    if not words:
        return True, hint if hint in languages else None  # emoji, a number, a hashtag
    ranked = _rank(words, frozenset(languages))
    wanted = sum(probability for language, probability in ranked if language in languages)
    if wanted < _limit(words, languages, hint):
        return False, next(language for language, _ in ranked if language not in languages)
    best, probability = next(pair for pair in ranked if pair[0] in languages)
    if _enough(words) and probability >= SURE:
        return True, best
    return True, hint if hint in languages else None


def known(languages: Set[str]) -> frozenset[str]:
    """Check language codes that a person wrote."""
    supported = set(_identifier(frozenset(), every=True).nb_classes)
    codes = {_ALIASES.get(code.strip().lower(), code.strip().lower()) for code in languages}
    unknown = sorted(codes - supported)
    if unknown or not codes:
        what = f"unknown language {', '.join(unknown)}" if unknown else "no language given"
        raise InputError(f'[model] languages: {what}; use ISO 639-1 codes such as "en"')
    return frozenset(codes)


def hint_code(hint: str | None) -> str | None:
    """Bring a platform's language tag ("en-GB", "in", "und") to ISO 639-1, None where it says nothing."""
    code = (hint or "").strip().lower().replace("_", "-").split("-")[0]
    code = _ALIASES.get(code, code)
    return code if len(code) == 2 and code.isalpha() else None


def _limit(words: str, languages: Set[str], hint: str | None) -> float:
    if _other_script(words):
        return _LIMIT_OTHER_SCRIPT
    limits = _LIMITS
    if hint is not None:
        limits = _LIMITS_IF_HINT_SAYS_WANTED if hint in languages else _LIMITS_IF_HINT_SAYS_OTHER
    count = len(words.split())
    return limits[0] if count >= 5 else limits[1] if count >= 3 else limits[2]


def _enough(words: str) -> bool:
    return len(words.split()) >= 3 or _other_script(words)


def _other_script(words: str) -> bool:
    """Say whether most letters are not Latin: then a word or two tell the language."""
    letters = [ch for ch in words if ch.isalpha()]
    # Latin, its extensions and the diacritics end at U+024F, Vietnamese lies at U+1E00 to U+1EFF.
    other = sum(not (ch <= "\u024f" or "\u1e00" <= ch <= "\u1eff") for ch in letters)
    return other >= 2 and other * 2 > len(letters)


def _says_something(text: str) -> bool:
    rest = _BARE.sub(" ", _clean(text))
    return any(ch.isalnum() or unicodedata.category(ch) == "So" for ch in rest) or bool(_EMOTICON.search(rest))


def _words(text: str) -> str:
    """Keep the words that tell a language: no links, handles, hashtags, emoji or digits; lower case."""
    words = _NO_LETTER.sub(" ", _NOISE.sub(" ", _clean(text)))
    return " ".join(word for word in _ELONGATED.sub(r"\1\1", words).lower().split() if word.strip("'"))


def _clean(text: str) -> str:
    # NFKC turns letters in fancy styles (𝓯𝓻𝓮𝓮) into letters; a lone surrogate cannot be encoded.
    text = _INVISIBLE.sub("", html.unescape(text[:LONGEST])).replace("’", "'")
    return unicodedata.normalize("NFKC", text).encode("utf-8", "ignore").decode()


def _rank(words: str, also: frozenset[str]) -> list[tuple[str, float]]:
    return [(language, float(probability)) for language, probability in _identifier(also - COMMON).rank(words)]


@functools.lru_cache(maxsize=4)
def _identifier(also: frozenset[str], every: bool = False) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if not every:
        identifier.set_languages(sorted(COMMON | also))
    return identifier
