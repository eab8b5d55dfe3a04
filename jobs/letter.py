"""What is told in a message, before it becomes plain text for a chat or a document for e-mail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

SHORT = (
    1_500  # characters of plain text, as far as what must be said allows it: what a phone shows without scrolling far
)
CHART = "chart.png"  # what a document calls the picture of a message


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together. What strangers wrote is harmless in them already.

    `spare` says what is left out where there is little room: the larger, the sooner, the last line first; 0 never.
    """

    lines: Sequence[str]
    heading: str = ""
    listed: bool = False  # each line is an item of a list
    spare: int = 0
    figures: Sequence[tuple[str, str]] = ()  # what each is, and how large
    picture: str = ""  # of the message, by its name, where a document shows it
    alt: str = ""  # what the picture shows, for who does not see it


@dataclass(frozen=True, slots=True)
class Letter:
    """A message, what matters most first. `tone` is a severity, "over", or "plain"."""

    title: str
    lead: str
    tone: str = "plain"
    blocks: Sequence[Block] = ()
    links: Sequence[tuple[str, str]] = ()  # what is done there, and where
    notes: Sequence[str] = field(default=())  # small print


Page = Callable[[Letter], str]  # makes the document for e-mail


def plain(letter: Letter, most: int = SHORT) -> str:
    """Write a letter without its title, in `most` characters as far as blocks can spare lines."""
    text = _written(letter)
    while len(text) > most:
        spared = max(letter.blocks, key=lambda block: block.spare if block.lines else 0, default=None)
        if spared is None or not spared.spare or not spared.lines:
            break
        shorter = replace(spared, lines=spared.lines[:-1])
        letter = replace(letter, blocks=[shorter if block is spared else block for block in letter.blocks])
        text = _written(letter)
    return text


def _written(letter: Letter) -> str:
    parts = [letter.lead, *(_block(block) for block in letter.blocks)]
    parts.append("\n".join(f"{what}: {where}" for what, where in letter.links))
    parts.append(" ".join(letter.notes))
    return "\n\n".join(part for part in parts if part)


def _block(block: Block) -> str:
    lines = [f"{what}: {figure}" for what, figure in block.figures]
    lines += [f"- {line}" if block.listed else line for line in block.lines]
    if lines and block.heading:
        lines.insert(0, f"{block.heading}:" if not block.figures else block.heading)
    return "\n".join(lines)
