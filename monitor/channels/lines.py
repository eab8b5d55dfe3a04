"""What channels make of text: strangers' answers in one harmless line, and texts cut to what a service takes."""

import re

_HARMFUL = re.compile(r"[^\w .,:;!?'()/=+%…-]")


def harmless_line(text: str, most: int) -> str:
    """Return the first `most` characters of what a server answered, as one line.

    Letters, digits and plain punctuation stay; signs of markup, mentions and control characters become spaces, and
    addresses no longer lead anywhere.
    """
    line = " ".join(_HARMFUL.sub(" ", text.replace("://", ":")).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def shorten(text: str, most: int) -> str:
    """Cut a text to `most` characters at the end of a word. An address is kept whole or left out."""
    if len(text) <= most:
        return text
    head = text[: max(most - 1, 0)]
    begins = 1 + max(head.rfind(sign) for sign in " \n")
    whole = head and text[len(head)].isspace()
    if not whole and ("://" in text[begins : begins + 12] or "://" in head[begins:] or begins > most // 2):
        head = head[:begins]
    return head.rstrip() + "…" if most > 0 else ""
