"""Let larger models say what they think of posts, for a smaller one to learn from: `python -m models.teach`.

Soft labels tell more than labels: how likely each is. What is written has no texts, so that it can be published; the
recipe names the file as a set `without_text` (models/recipe.toml).
"""

import argparse
import csv
import io
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from db.errors import InputError, SentimonError
from db.labels import SENTIMENTS
from models.classifier import BundledClassifier, Post
from models.examples import read_texts
from models.precision import exact

COLUMNS = ("source", "source_id", "sentiment")
AT_ONCE = 1_000  # posts between two writes: what is written is not asked again


def main() -> None:
    """Read the arguments and teach."""
    parser = argparse.ArgumentParser(prog="python -m models.teach", description=__doc__.partition("\n")[0])
    folders = "folder of a model that `sentimon train` has made; of several, the mean counts"
    parser.add_argument("--teacher", type=Path, action="append", required=True, help=folders)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--source", required=True, help="a file of posts under --data, less its ending")
    parser.add_argument("--posts", type=int, help="how many of its posts, drawn by lot; all where not given")
    parser.add_argument("--output", type=Path, required=True, help="CSV file; what it already holds stays")
    args = parser.parse_args()
    try:
        teach(args.teacher, args.data, args.source, args.posts, args.output)
    except SentimonError as error:
        sys.exit(f"teach: {error}")
    except OSError as error:
        sys.exit(f"teach: {args.output}: cannot be written: {error.strerror}; name another with --output")


def teach(teachers: Sequence[Path], data: Path, source: str, count: int | None, output: Path) -> None:
    """Add a line to `output` for each of `count` posts of a file of posts that has none there yet.

    A line has the file, the post's id or the number of its line there, and the probabilities of the sentiment of the
    text as a whole, the mean of the teachers', in percent and in the order of `db.labels.LABELS`.
    """
    texts = read_texts(data / source)
    drawn = sorted(texts)
    random.Random(source).shuffle(drawn)
    done = _written(output)
    asked = [name for name in drawn[:count] if (source, name) not in done and texts[name].strip()]
    # Exactly, so that it does not depend on the machine, nor on which posts were asked together.
    classifiers = [BundledClassifier(teacher, None, exact()) for teacher in teachers]
    with output.open("a", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        if not output.stat().st_size:
            rows.writerow(COLUMNS)
        for start in range(0, len(asked), AT_ONCE):
            names = asked[start : start + AT_ONCE]
            posts = [Post(texts[name]) for name in names]
            told = zip(*(classifier.score(posts) for classifier in classifiers), strict=True)
            for name, scores in zip(names, told, strict=True):
                if all(score.rated for score in scores):
                    found = [fmean(score.probabilities("sentiment")[one] for score in scores) for one in SENTIMENTS]
                    rows.writerow((source, name, " ".join(f"{share:.0%}"[:-1] for share in found)))
            file.flush()


def _written(path: Path) -> set[tuple[str, str]]:
    """Return the posts that have a line, less a last line that was cut off, which goes from the file too.

    Raises InputError where the file was written by another program, and leaves it as it is.
    """
    if not path.exists():
        return set()
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    try:
        header, *rows = csv.reader(io.StringIO(whole.decode("utf-8-sig"), newline="")) if whole else [list(COLUMNS)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}; name another file with --output") from error
    if tuple(header) != COLUMNS or not (whole or ",".join(COLUMNS).encode().startswith(content)):
        raise InputError(f"{path}: its columns are not {', '.join(COLUMNS)}; name another file with --output")
    if spoilt := [number for number, row in enumerate(rows, 2) if len(row) != len(COLUMNS)]:
        raise InputError(f"{path}:{spoilt[0]}: not a line of {', '.join(COLUMNS)}; remove it, or name another file")
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return {(row[0], row[1]) for row in rows}


if __name__ == "__main__":
    main()
