"""Words of the lines that people read."""


def counted(count: int, noun: str) -> str:
    """Write a count with its noun, to which more than one adds an s: "1 post", "1,146 posts"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
