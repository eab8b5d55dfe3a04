"""A person judges posts, one after the other: `sentimon label`."""

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from db.errors import InputError
from db.filters import Filter
from db.labels import GUIDE, UNSURE
from db.records import NO_BRAND, Match, Score, Verdict
from db.store import Store
from monitor.app import App, utc_now
from monitor.cli.options import Words, open_app, settle, with_config
from monitor.cli.output import printable, utc
from monitor.questions import codes
from monitor.words import counted

WIDEST = 100  # columns


@dataclass(frozen=True, slots=True)
class _Typed:
    """What a line means: corrections by question, or one of the words other, skip, back, stop and help."""

    labels: Mapping[str, str]
    word: str | None = None


@click.command()
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many posts.")
@click.option("--brand", type=Words(), help="Only this brand.")
@click.option("--reviewer", type=Words(), help="Who judges.  [default: the name that you are logged in with]")
@with_config
def label(count: int, brand: str | None, reviewer: str | None, config_path: Path | None) -> None:
    """Judge posts drawn at random: Enter where the model is right, two digits where it is not.

    Each answer is stored at once, and wins over the model from then on. Once there are enough, `sentimon evaluate --db`
    measures the model on them, and `sentimon train --from-verdicts` lets it learn from them.
    """
    if sys.stdin is None:
        raise InputError("standard input is closed, and there is nobody to ask")
    app = open_app(config_path)
    with app.store() as store:
        drawn = sample(app, store, count, brand)
        click.echo(_HELP)
        _Session(store, drawn, reviewer or user_name()).run()


def sample(app: App, store: Store, count: int, brand: str | None) -> list[tuple[Match, Score]]:
    """Draw rated posts that nobody has judged, others each time; InputError where there are none."""
    import random

    chosen = settle(Filter(brands=(brand,)), app, store).brands[0] if brand else None
    drawn = store.verdicts.sample(count, chosen, seed=random.SystemRandom().randrange(2**32))
    if not drawn:
        raise InputError(f"no rated post{f' of {chosen}' if chosen else ''} is left that nobody has judged")
    return drawn


def user_name() -> str:
    """Name who is at the terminal."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unnamed"


_HELP = """\
Enter     the model is right
24        question 2 is answered by label 4; several at once: 13 24
x         the post is not about the brand (right even where the name is in it)
s, b, q   skip it, back to the one before, quit: everything is stored already
?         show this again"""


def parse(line: str) -> _Typed:
    """Read what was typed; ValueError says what cannot be meant."""
    typed = line.strip().casefold()
    if typed in _WORDS:
        return _Typed({}, _WORDS[typed])
    digits = "".join(typed.replace(",", " ").split())
    if not digits.isascii() or not (digits.isdigit() or not digits) or len(digits) % 2:
        raise ValueError(f"{line.strip()[:20]!r} is neither one of the letters nor pairs of digits; ? shows them")
    labels = {}
    for question, answer in zip(digits[::2], digits[1::2], strict=True):
        if not 1 <= int(question) <= len(GUIDE):
            raise ValueError(f"{question}{answer}: questions are numbered 1 to {len(GUIDE)}")
        name = GUIDE[int(question) - 1]
        if answer not in codes(name):
            raise ValueError(f"{question}{answer}: {name} has no label {answer}")
        labels[name] = codes(name)[answer]
    return _Typed(labels)


_WORDS = {"x": "other", "s": "skip", "b": "back", "q": "stop", "?": "help"}


class _Session:
    """Goes through the posts and stores each answer."""

    def __init__(self, store: Store, drawn: Sequence[tuple[Match, Score]], reviewer: str) -> None:
        self._store = store
        self._drawn = drawn
        self._reviewer = reviewer
        self._given: dict[int, Verdict] = {}

    def run(self) -> None:
        """Ask until all are judged, or nobody answers any more."""
        place = 0
        try:
            while place < len(self._drawn):
                place += self._ask(place)
        except (click.Abort, KeyboardInterrupt):
            click.echo()  # Ctrl-C, or the end of what was piped in
        click.echo(
            f"{counted(len(self._given), 'post')} judged, {sum(map(self._is_corrected, self._drawn))} of them corrected"
        )

    def _ask(self, place: int) -> int:
        """Show one post and store the answer; return how far to go on."""
        match, score = self._drawn[place]
        given = self._given.get(match.id)
        found = given.labels if given and given.about else {question: score.label(question) for question in GUIDE}
        labels = {question: label for question, label in found.items() if label}
        click.echo(f"\n{_shown(match, place + 1, len(self._drawn))}\n\n{_questions(labels)}")
        while True:
            try:
                typed = parse(click.prompt("", default="", show_default=False, prompt_suffix="> "))
            except ValueError as error:
                click.echo(str(error))
                continue
            if typed.word == "help":
                click.echo(_HELP)
                continue
            if typed.word == "stop":
                return len(self._drawn)
            if typed.word == "back":
                return -1 if place else 0
            if typed.word == "skip":
                return 1
            labels |= typed.labels
            if typed.word == "other":
                self._give(match, {}, about=False)
            elif UNSURE in labels.values():
                click.echo("the model is not sure of the stage: type 2 and its number")
                continue
            else:
                self._give(match, labels, about=True)
            return 1

    def _give(self, match: Match, labels: Mapping[str, str], about: bool) -> None:
        verdict = Verdict(match.id, self._reviewer, utc_now(), labels, random=True, about=about)
        try:
            with self._store.transaction():
                self._store.verdicts.give([verdict])
        except InputError:  # its post has gained a brand meanwhile
            click.echo("this post has moved to another brand meanwhile; nothing stored")
            return
        self._given[match.id] = verdict

    def _is_corrected(self, drawn: tuple[Match, Score]) -> bool:
        match, score = drawn
        given = self._given.get(match.id)
        return given is not None and (
            not given.about or any(score.label(question) != label for question, label in given.labels.items())
        )


def _shown(match: Match, number: int, count: int) -> str:
    width = min(shutil.get_terminal_size().columns, WIDEST) - 2
    mention = match.mention
    brand = "no brand" if match.brand == NO_BRAND else match.brand
    author = mention.author or "no author"
    head = [f"{number} of {count}", brand, mention.source, f"{utc(mention.created_at)} UTC", author]
    paragraphs = [textwrap.wrap(printable(line), max(width, 20)) for line in mention.shown.splitlines()]
    lines = [line for paragraph in paragraphs for line in paragraph] or ["(no text)"]
    title = click.style(printable(" · ".join(head)), bold=True)
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _questions(labels: Mapping[str, str]) -> str:
    """Write each question with its answers, the one in force in brackets."""
    lines = []
    for number, question in enumerate(GUIDE, 1):
        answers = "  ".join(
            click.style(f"[{code} {one}]", bold=True) if labels.get(question) == one else f"{code} {one}"
            for code, one in codes(question).items()
        )
        unsure = click.style("  [not sure]", bold=True) if labels.get(question) == UNSURE else ""
        lines.append(f"  {number} {question:<11} {answers}{unsure}")
    return "\n".join(lines)
