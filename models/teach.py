"""Let larger models say what they think of posts, for a smaller one to learn from: `python -m models.teach`.

Soft labels tell more than labels: how likely each is. What is written has no texts, so that it can be published; the
recipe names the file as a set `without_text` (models/recipe.toml).
"""

import argparse
import csv
import io
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from db.errors import InputError, SentimonError
from db.labels import GUIDE
from models.classifier import BundledClassifier, Post
from models.examples import read_texts
from models.precision import Precision, choose, exact

KEY = ("source", "source_id")
SENTIMENT = ("sentiment",)  # what is asked of a text as a whole
AT_ONCE = 1_000  # posts between two writes: what is written is not asked again

Row = tuple[str, ...]  # a file of posts, the post's id or the number of its line there, and the brand where it has one


def main() -> None:
    """Read the arguments and teach."""
    parser = argparse.ArgumentParser(prog="python -m models.teach", description=__doc__.partition("\n")[0])
    folders = "folder of a model that `sentimon train` has made; of several, the mean counts"
    parser.add_argument("--teacher", type=Path, action="append", required=True, help=folders)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--source", help="a file of posts under --data, less its ending: what they feel as a whole")
    names = "CSV file of source, source_id and brand: all that the guide asks of these posts, towards their brands"
    asked.add_argument("--brands", type=Path, help=names)
    parser.add_argument("--posts", type=int, help="how many of them, drawn by lot; all where not given")
    quick = "compute in what is fastest here: a percentage may differ by one from machine to machine"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--output", type=Path, required=True, help="CSV file; what it already holds stays")
    args = parser.parse_args()
    precision = choose() if args.quick else exact()
    try:
        if args.brands:
            teach_towards(args.teacher, args.data, args.brands, args.posts, args.output, precision)
        else:
            teach(args.teacher, args.data, args.source, args.posts, args.output, precision)
    except SentimonError as error:
        sys.exit(f"teach: {error}")
    except OSError as error:
        sys.exit(f"teach: {args.output}: cannot be written: {error.strerror}; name another with --output")


def teach(
    teachers: Sequence[Path],
    data: Path,
    source: str,
    count: int | None,
    output: Path,
    precision: Precision | None = None,
) -> None:
    """Add a line to `output` for each of `count` posts of a file of posts that has none there yet.

    A line has the file, the post's id or the number of its line there, and the probabilities of the sentiment of the
    text as a whole, the mean of the teachers', in percent and in the order of `db.labels.LABELS`. `precision` None
    means exactly, so that it does not depend on the machine, nor on which posts were asked together.
    """
    texts = read_texts(data / source)
    rows: list[Row] = [(source, name) for name in sorted(texts)]
    _ask(teachers, _drawn(rows, source, count), {source: texts}, SENTIMENT, output, precision)


def teach_towards(
    teachers: Sequence[Path],
    data: Path,
    brands: Path,
    count: int | None,
    output: Path,
    precision: Precision | None = None,
) -> None:
    """Do the same for posts that a CSV file names with the brand of each; the guide's five questions are asked."""
    rows = _posts_with_brands(brands)
    texts = {source: read_texts(data / source) for source in sorted({source for source, *_ in rows})}
    if missing := [row for row in rows if row[1] not in texts[row[0]]]:
        raise InputError(f"{brands}: {data / missing[0][0]} holds no post {missing[0][1]}")
    _ask(teachers, _drawn(rows, brands.stem, count), texts, GUIDE, output, precision)


def _drawn(rows: list[Row], seed: str, count: int | None) -> list[Row]:
    random.Random(seed).shuffle(rows)
    return rows[:count]


def _ask(
    teachers: Sequence[Path],
    rows: Sequence[Row],
    texts: dict[str, dict[str, str]],
    questions: Sequence[str],
    output: Path,
    precision: Precision | None,
) -> None:
    columns = (*KEY, *(("brand",) if questions == GUIDE else ()), *questions)
    done = _written(output, columns, len(columns) - len(questions))
    asked = [row for row in rows if row not in done and texts[row[0]][row[1]].strip()]
    classifiers = [BundledClassifier(teacher, None, precision or exact()) for teacher in teachers]
    with output.open("a", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        if not output.stat().st_size:
            lines.writerow(columns)
        for start in range(0, len(asked), AT_ONCE):
            now = asked[start : start + AT_ONCE]
            posts = [Post(texts[source][name], *brand) for source, name, *brand in now]
            told = zip(*(classifier.score(posts) for classifier in classifiers), strict=True)
            for row, scores in zip(now, told, strict=True):
                if all(score.rated for score in scores):
                    found = [[score.probabilities(question) for score in scores] for question in questions]
                    lines.writerow((*row, *(_percentages(each) for each in found)))
            file.flush()


def _percentages(found: Sequence[Mapping[str, float]]) -> str:
    """The mean of several teachers' probabilities, in percent."""
    return " ".join(f"{fmean(each[label] for each in found):.0%}"[:-1] for label in found[0])


def _posts_with_brands(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(row.get("source"), row.get("source_id"), row.get("brand")) for row in csv.DictReader(file)]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    whole = [(source, name, brand) for source, name, brand in rows if source and name and brand]
    if len(whole) < len(rows):
        raise InputError(f"{path}: not all of its lines have source, source_id and brand")
    return list(dict.fromkeys(whole))


def _written(path: Path, columns: Row, key: int) -> set[Row]:
    """Return the posts that have a line, less a last line that was cut off, which goes from the file too.

    Raises InputError where the file was written by another program, and leaves it as it is.
    """
    if not path.exists():
        return set()
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    try:
        header, *rows = csv.reader(io.StringIO(whole.decode("utf-8-sig"), newline="")) if whole else [list(columns)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}; name another file with --output") from error
    if tuple(header) != columns or not (whole or ",".join(columns).encode().startswith(content)):
        raise InputError(f"{path}: its columns are not {', '.join(columns)}; name another file with --output")
    if spoilt := [number for number, row in enumerate(rows, 2) if len(row) != len(columns)]:
        raise InputError(f"{path}:{spoilt[0]}: not a line of {', '.join(columns)}; remove it, or name another file")
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return {tuple(row[:key]) for row in rows}


if __name__ == "__main__":
    main()
