"""Saved replies: which variables they may hold, and what stands in their place."""

import re
import unicodedata

from db.desk import Case, Snippet, User
from db.errors import InputError
from db.store import Store
from jobs.desk.meanwhile import as_seen, version_of

VARIABLES = ("author", "brand", "me", "source")
PLATFORMS = {
    "appstore": "the App Store",
    "bluesky": "Bluesky",
    "hackernews": "Hacker News",
    "mastodon": "Mastodon",
    "reddit": "Reddit",
    "x": "X",
    "youtube": "YouTube",
}
SOMEBODY = "there"  # as in "Hi there": where a platform tells an author by a number only
LONGEST_NAME = 50

_VARIABLE = re.compile(r"\{([^{}\n]*)\}")


def checked(text: str) -> str:
    """Return the text of a saved reply as it is kept; InputError where it is empty or names an unknown variable."""
    text = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not text:
        raise InputError("a saved reply needs a text")
    known = ", ".join(f"{{{name}}}" for name in VARIABLES)
    for name in _VARIABLE.findall(text):
        if name not in VARIABLES:
            raise InputError(f"a saved reply has no variable {{{name[:30]}}}; there are {known}")
    return text


def change(store: Store, snippet: Snippet, seen: str) -> Snippet:
    """Keep what somebody has changed of a saved reply, seen as this `version`; runs in the caller's transaction.

    Stale where it says something else by now, or is gone.
    """
    as_seen("saved reply", store.snippets.get(snippet.id), version, seen)
    return store.snippets.save(snippet)


def version(snippet: Snippet) -> str:
    """Name what a saved reply says, and for which brand: where the name is another, it was changed."""
    return version_of(snippet.name, snippet.text, snippet.brand)


def fill(text: str, case: Case, who: User) -> str:
    """Put names in the place of the variables. What a stranger calls themselves mentions nobody and links nowhere."""
    mention = case.match.mention
    values = {
        "author": _harmless(mention.author or "", mention.source),
        "brand": case.match.brand,
        "me": who.name,
        "source": PLATFORMS.get(mention.source, mention.source),
    }
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)


def _harmless(author: str, source: str) -> str:
    """Keep letters and digits of a name: no @ that mentions, no dot or slash that links, no markup, no controls."""
    name = author.removeprefix("@").split("@")[0]
    if name.startswith("did:") or (source == "x" and name.isdecimal()):
        return SOMEBODY
    kept = "".join(
        character if unicodedata.category(character)[0] in "LMN" or character in "-_'" else " " for character in name
    )
    return " ".join(kept.split())[:LONGEST_NAME].strip() or SOMEBODY
