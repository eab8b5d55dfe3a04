"""People's verdicts at the command line: given one by one or by the file, measured by, and learned from."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from db.filters import Filter
from db.labels import GUIDE
from db.records import Registered, Verdict
from db.store import Store
from models import finetune
from monitor.app import utc_now
from monitor.cli import main
from monitor.cli.label import codes, parse
from tests.cli_rig import complaint, configure, said, sentimon, told
from tests.support import DAY, NOW, judge, keep, mention
from tests.tiny_model import tiny_mention_model

ALL_FIVE = {"sentiment": "neutral", "stage": "use", "reply": "no", "pillar": "product", "touchpoint": "none"}


def given(folder: Path) -> list[Verdict]:
    """The newest verdict of each post."""
    with Store(folder / "posts.db") as store:
        return [verdict for _, verdict in store.verdicts.all()]


def store_posts(folder: Path, *texts: str, source: str = "x") -> None:
    """Store posts that name the brand, and let them be judged."""
    with Store(folder / "posts.db") as store:
        keep(store, *(mention(f"{source}{number}", text, source=source) for number, text in enumerate(texts)))
        judge(store)


def label(typed: str, *args: str) -> Result:
    return sentimon("label", "--reviewer", "ann", *args, stdin=typed)


class TestLabel:
    def test_enter_keeps_the_five_labels_of_the_model(self, folder: Path) -> None:
        store_posts(folder, "acme is fine")
        shown = said(label("\n"))
        assert "1 of 1 · Acme · x · 2026-03-04 12:00 UTC · someone" in shown
        assert "  acme is fine\n" in shown
        assert "[2 neutral]" in shown
        (verdict,) = given(folder)
        assert (dict(verdict.labels), verdict.reviewer) == (ALL_FIVE, "ann")
        assert (verdict.random, verdict.about) == (True, True)
        assert "1 post judged, 0 of them corrected" in shown

    def test_two_digits_correct_a_question(self, folder: Path) -> None:
        store_posts(folder, "acme is fine")
        assert "1 of them corrected" in said(label("13 31,45\n13 31\n"))  # there is no pillar 5
        assert dict(given(folder)[0].labels) == ALL_FIVE | {"sentiment": "positive", "reply": "yes"}

    def test_a_post_that_is_not_about_the_brand_counts_nowhere(self, folder: Path) -> None:
        store_posts(folder, "acme is a word")
        said(label("x\n"))
        assert [(verdict.about, dict(verdict.labels)) for verdict in given(folder)] == [(False, {})]
        assert told("mentions", "acme") == []

    def test_what_was_answered_is_stored_when_it_ends_early(self, folder: Path) -> None:
        store_posts(folder, "acme one", "acme two", "acme three")
        assert "1 post judged" in said(label("\n"))  # nothing more comes
        assert "1 post judged" in said(label("\nq\n"))
        assert len(given(folder)) == 2

    def test_what_is_skipped_comes_again_and_what_is_judged_does_not(self, folder: Path) -> None:
        store_posts(folder, "acme one", "acme two")
        assert "1 post judged" in said(label("s\n\n"))
        assert "1 of 1" in said(label("s\n"))
        said(label("\n"))
        assert complaint(label("")) == "sentimon: no rated post is left that nobody has judged"

    def test_one_can_go_back_and_correct_what_was_said(self, folder: Path) -> None:
        store_posts(folder, "acme one", "acme two")
        assert "2 posts judged" in said(label("11\nb\n13\n\n"))
        assert sorted(verdict.labels["sentiment"] for verdict in given(folder)) == ["neutral", "positive"]

    def test_a_stage_that_the_model_is_not_sure_of_has_to_be_said(self, folder: Path) -> None:
        store_posts(folder, "acme perhaps")
        shown = said(label("\n25\n"))
        assert "[not sure]" in shown
        assert given(folder)[0].labels["stage"] == "purchase"

    def test_a_post_cannot_rewrite_the_terminal(self, folder: Path) -> None:
        store_posts(folder, "acme \x1b[2J\rgone\nsecond line")
        shown = said(label("q\n"))
        assert "\x1b" not in shown
        assert "\r" not in shown
        assert "  second line\n" in shown

    def test_only_posts_of_one_brand_whatever_its_case(self, folder: Path) -> None:
        store_posts(folder, "acme one")
        with Store(folder / "posts.db") as store:
            keep(store, mention("other", "other one"), brands=["Other"])
            judge(store)
        assert "1 of 1 · Acme" in said(label("q\n", "--brand", "ACME"))
        assert "no brand 'Acne'; did you mean Acme?" in complaint(label("", "--brand", "Acne"))

    @pytest.mark.parametrize("typed", ["9", "61", "19", "abc", "1 3 2", "²¹", "xx"])
    def test_what_cannot_be_meant_is_asked_again(self, typed: str, folder: Path) -> None:
        store_posts(folder, "acme one")
        with pytest.raises(ValueError):
            parse(typed)
        assert "1 post judged, 0 of them corrected" in said(label(f"{typed}\n\n"))

    def test_every_label_has_a_digit(self) -> None:
        from db.labels import LABELS

        for question in GUIDE:
            assert sorted(codes(question).values()) == sorted(LABELS[question])


class TestFiles:
    def test_an_export_is_measured_and_taken_back(self, folder: Path) -> None:
        store_posts(folder, "acme is fine", "acme is awful")
        said(label("13\n\n"))
        assert said(sentimon("verdicts", "export", "out.jsonl")) == "2 verdicts written to out.jsonl\n"
        rows = [json.loads(line) for line in said(sentimon("verdicts", "export")).splitlines()]
        assert rows == [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
        keys = ["id", "source", "source_id", "brand", "text", *GUIDE, "about", "random", "reviewer", "at"]
        assert list(rows[0]) == keys
        assert said(sentimon("verdicts", "import", "out.jsonl")) == "0 verdicts new, 2 unchanged\n"
        assert {one["task"] for one in told("evaluate", "out.jsonl")} == set(GUIDE)

    def test_an_export_is_taken_in_by_another_database_with_the_same_posts(self, folder: Path) -> None:
        store_posts(folder, "acme is fine", "acme is awful")
        said(label("13\nx\n"))
        before = given(folder)
        said(sentimon("verdicts", "export", "out.jsonl"))
        configure(folder, database="other.db")
        with Store(folder / "other.db") as store:
            keep(store, mention("first", "acme shifts the ids"))
            keep(store, *(mention(f"x{n}", text) for n, text in enumerate(("acme is fine", "acme is awful"))))
        assert said(sentimon("verdicts", "import", "out.jsonl", "--reviewer", "bob")) == "2 verdicts new, 0 unchanged\n"
        with Store(folder / "other.db") as store:
            after = [verdict for _, verdict in store.verdicts.all()]
        assert [(v.reviewer, v.at, v.about, v.random, v.labels) for v in after] == [
            (v.reviewer, v.at, v.about, v.random, v.labels) for v in before
        ]

    def test_a_sample_goes_through_a_spreadsheet_and_comes_back_corrected(self, folder: Path) -> None:
        with Store(folder / "posts.db") as store:
            keep(store, mention("1234567890123456789", "=acme()"), mention("-1", "acme is awful"), mention("7", "acme"))
            judge(store)
        assert "3 posts to judge" in said(sentimon("verdicts", "sample", "9", "sheet.csv"))
        rows = list(csv.DictReader((folder / "sheet.csv").open(newline="")))
        assert {row["source_id"] for row in rows} == {"'1234567890123456789", "'-1", "7"}
        assert "'=acme()" in {row["text"] for row in rows}
        for row in rows:
            row |= {"sentiment": "Positive ", "about": "FALSE" if row["source_id"] == "7" else row["about"].upper()}
        with (folder / "sheet.csv").open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, rows[0], delimiter=";")  # as spreadsheets write it in half of Europe
            writer.writeheader()
            writer.writerows(rows)
        assert said(sentimon("verdicts", "import", "sheet.csv", "--reviewer", "ann")) == "3 verdicts new, 0 unchanged\n"
        found = {verdict.match_id: verdict for verdict in given(folder)}
        assert [(v.labels.get("sentiment"), v.about, v.random, v.reviewer) for _, v in sorted(found.items())] == [
            ("positive", True, True, "ann"),
            ("positive", True, True, "ann"),
            (None, False, True, "ann"),
        ]

    def test_a_sample_is_not_written_over_one_that_may_hold_corrections(self, folder: Path) -> None:
        store_posts(folder, "acme is fine")
        (folder / "sheet.csv").write_text("my work")
        assert "sheet.csv: is there already" in complaint(sentimon("verdicts", "sample", "9", "sheet.csv"))
        assert (folder / "sheet.csv").read_text() == "my work"

    @pytest.mark.parametrize(
        ("change", "told_as"),
        [
            ({"source_id": "nobody"}, "no post 'nobody' of x under Acme"),
            ({"brand": "Other"}, "no post 'x1' of x under Other"),
            ({"stage": "unsure"}, "stage: 'unsure' is no label; choose from awareness, "),
            ({"about": "perhaps"}, "about: "),
            ({"at": "2099-01-01T00:00:00Z"}, "at: 2099-01-01T00:00:00Z lies in the future"),
            ({"at": "0001-01-01T00:00:00+14:00"}, "at: 0001-01-01T00:00:00+14:00 lies too far back or ahead"),
            ({"brand": "\x1b[2JAcme"}, "no post 'x1' of x under  [2JAcme"),
            (dict.fromkeys(GUIDE), "no answer to any of sentiment, stage, reply, pillar, touchpoint"),
            ({"source_id": None}, "source_id: "),
        ],
    )
    def test_one_bad_row_keeps_all_out_and_is_named(
        self, change: dict[str, str | None], told_as: str, folder: Path
    ) -> None:
        store_posts(folder, "acme is fine", "acme is awful")
        good = {"source": "x", "brand": "Acme", **ALL_FIVE}
        rows = [good | {"source_id": "x0"}, good | {"source_id": "x1"} | change]
        (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        result = sentimon("verdicts", "import", "in.jsonl")
        first, last = result.stderr.splitlines()
        assert result.exit_code == 1
        assert first.startswith(f"sentimon: in.jsonl: line 2: {told_as}")
        assert "nothing imported, 1 of its rows cannot be used" in last
        assert given(folder) == []

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"not json\n", b"[1]\n", b"null\n"])
    def test_a_file_that_holds_no_verdicts_is_refused(self, content: bytes, folder: Path) -> None:
        (folder / "in.jsonl").write_bytes(content)
        result = sentimon("verdicts", "import", "in.jsonl")
        assert result.exit_code == 1
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert result.stderr.startswith("sentimon: in.jsonl: ")

    def test_a_brand_that_looks_like_a_formula_comes_back_from_a_spreadsheet(self, folder: Path) -> None:
        with Store(folder / "posts.db") as store:
            keep(store, mention("1", "hello"), brands=["@acme"])
            judge(store)
        said(sentimon("verdicts", "sample", "1", "sheet.csv"))
        assert "'@acme" in (folder / "sheet.csv").read_text()
        again = ("verdicts", "import", "sheet.csv", "--reviewer", "=ann")
        assert said(sentimon(*again)) == "1 verdict new, 0 unchanged\n"
        said(sentimon("verdicts", "export", "out.csv"))
        assert said(sentimon("verdicts", "import", "out.csv")) == "0 verdicts new, 1 unchanged\n"
        assert [verdict.reviewer for verdict in given(folder)] == ["=ann"]

    def test_others_can_write_while_a_pipe_is_waited_for(self, folder: Path) -> None:
        class Slow(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                with Store(folder / "posts.db") as store:
                    keep(store, mention("meanwhile"))
                return super().read(size)

        store_posts(folder, "acme is fine")
        row = {"source": "x", "source_id": "x0", "brand": "Acme", "sentiment": "positive"}
        result = CliRunner().invoke(main, ["verdicts", "import", "-"], input=Slow(json.dumps(row).encode()))
        assert said(result) == "1 verdict new, 0 unchanged\n"
        assert len(told("mentions")) == 2

    def test_verdicts_come_through_a_pipe(self, folder: Path) -> None:
        store_posts(folder, "acme is fine")
        row = {"source": "x", "source_id": "x0", "brand": "Acme", "sentiment": "positive"}
        assert said(sentimon("verdicts", "import", "-", stdin=json.dumps(row))) == "1 verdict new, 0 unchanged\n"
        assert [(dict(v.labels), v.random) for v in given(folder)] == [({"sentiment": "positive"}, False)]


class TestMeasuring:
    def test_only_posts_that_were_drawn_at_random_are_measured_on(self, folder: Path) -> None:
        store_posts(folder, "acme one", "acme two", source="x")
        store_posts(folder, "acme three", source="reddit")
        said(label("11\n\n\n"))
        store_posts(folder, "acme four", "acme five", "acme six", source="hn")
        row = {"source": "hn", "source_id": "hn0", "brand": "Acme", "sentiment": "positive"}
        said(sentimon("verdicts", "import", "-", stdin=json.dumps(row)))
        result = sentimon("evaluate", "--db")
        assert "sentiment, keywords-1: 3 posts" in said(result)
        assert "touchpoint, keywords-1, by source" in result.stdout
        assert "1 verdict left out: on posts that were not drawn at random" in result.stderr
        assert "measured on 3 posts only" in result.stderr
        ours = told("evaluate", "--db")[0]
        assert ours["accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-3)
        assert {source: found["posts"] for source, found in ours["by_source"].items()} == {"reddit": 1, "x": 2}

    def test_without_verdicts_one_line_says_how_to_give_some(self, folder: Path) -> None:
        store_posts(folder, "acme one")
        assert "`sentimon label`" in complaint(sentimon("evaluate", "--db"))

    @pytest.mark.parametrize(
        ("args", "says"),
        [
            ((), "name a file of labelled posts, or --db"),
            (("posts.jsonl", "--db"), "a file of labelled posts and --db were both given; choose one"),
        ],
    )
    def test_either_a_file_or_the_database_is_measured_on(self, args: tuple[str, ...], says: str, folder: Path) -> None:
        assert says in complaint(sentimon("evaluate", *args), 2)

    def test_one_question_is_measured_where_it_is_told_which(self, folder: Path) -> None:
        store_posts(folder, "acme one", "acme two")
        with Store(folder / "posts.db") as store, store.transaction():
            posts = store.mentions.find(None, Filter(), 2)
            store.verdicts.give([Verdict(one.id, "ann", NOW, ALL_FIVE, random=True) for one in posts])
        assert {one["task"] for one in told("evaluate", "--db")} == set(GUIDE)
        assert {one["task"] for one in told("evaluate", "--db", "--head", "stage")} == {"stage"}
        result = sentimon("evaluate", "--db", "--head", "emotion")
        assert result.exit_code == 1
        assert "the verdicts on posts drawn at random: no label for emotion; choose with " in result.stderr


Taught = Callable[[int], None]


@pytest.fixture
def taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Taught:
    """A folder whose bundled model is a tiny one; call it to store so many posts with verdicts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    monkeypatch.setattr("models.classifier.BUNDLED", tiny_mention_model(tmp_path / "bundled", "9"))
    monkeypatch.setattr(finetune, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(finetune, "EPOCHS", 25)
    configure(tmp_path)

    def teach(count: int) -> None:
        said_of = {"great": ALL_FIVE | {"sentiment": "positive"}, "awful": ALL_FIVE | {"sentiment": "negative"}}
        with Store(tmp_path / "posts.db") as store:
            keep(store, *(mention(n, f"the phone is {'great' if n % 2 else 'awful'} {n}") for n in range(count + 20)))
            with store.transaction():
                found = [store.mentions.named("x", str(number), "Acme") for number in range(count)]
                store.verdicts.give(
                    [
                        Verdict(one.id, "ann", NOW, said_of["great" if number % 2 else "awful"], random=True)
                        for number, one in enumerate(found)
                        if one
                    ]
                )

    return teach


class TestTraining:
    def test_a_better_version_judges_new_posts_until_one_goes_back(self, taught: Taught, tmp_path: Path) -> None:
        taught(60)
        result = sentimon("train", "--from-verdicts")
        assert "60 verdicts: " in said(result)
        assert "own-1 is kept in " in result.stdout
        said(sentimon("run", "--once"))
        assert {post["model"] for post in told("mentions", "phone")} == {"own-1"}
        assert [(one["name"], one["in_force"]) for one in told("models")] == [("bundled", False), ("own-1", True)]
        assert "own-1" in said(sentimon("models"))
        said(sentimon("models", "use", "bundled"))
        assert [one["in_force"] for one in told("models")] == [True, False]
        assert said(sentimon("rescore")).strip() == "80 posts judged anew by bundled-9"
        assert {post["model"] for post in told("mentions", "phone")} == {"bundled-9"}
        assert len({post["sentiment"] for post in told("mentions", "phone") if post["reviewed"]}) == 2
        assert said(sentimon("rescore")).strip() == "0 posts judged anew by bundled-9"

    def test_training_again_on_the_same_verdicts_changes_nothing(self, taught: Taught, tmp_path: Path) -> None:
        taught(60)
        said(sentimon("train", "--from-verdicts"))
        again = said(sentimon("train", "--from-verdicts"))
        assert "own-2 is not kept: it is no better than own-1, which stays in force" in again
        assert [path.name for path in (tmp_path / "models").iterdir()] == ["own-1"]
        assert len(told("models")) == 2

    @pytest.mark.parametrize("output", [(), ("--output", "mine")])
    def test_of_two_trainings_at_once_the_second_takes_the_next_name(
        self, output: tuple[str, ...], taught: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taught(60)
        attempt = finetune.attempt

        def overtaken(*args: Any) -> finetune.Trial:
            (tmp_path / "models" / "own-1").mkdir(parents=True)
            with Store(tmp_path / "posts.db") as store, store.transaction():
                store.models.register(Registered("own-1", "models/own-1", "bundled-9", NOW, 48, {}))
            return attempt(*args)

        monkeypatch.setattr(finetune, "attempt", overtaken)
        shown = said(sentimon("train", "--from-verdicts", *output))
        where = tmp_path / (output[1] if output else "models/own-2")
        assert f"own-2 is kept in {where} and judges new posts" in shown.replace("\n", " ")
        assert (where / "config.json").is_file()
        assert [(one["name"], one["in_force"]) for one in told("models")][1:] == [("own-1", False), ("own-2", True)]

    def test_a_version_is_not_measured_on_what_it_learned_from(self, taught: Taught) -> None:
        taught(60)
        assert told("evaluate", "--db")[0]["posts"] == 60
        said(sentimon("train", "--from-verdicts"))
        result = sentimon("evaluate", "--db", "--json")
        assert json.loads(result.stdout)[0]["posts"] < 30
        assert "own-1 has learned from these posts" in result.stderr

    def test_a_post_that_a_version_learned_from_is_not_measured_on_when_it_is_corrected_later(
        self, taught: Taught, tmp_path: Path
    ) -> None:
        taught(60)
        said(sentimon("train", "--from-verdicts"))
        before = told("evaluate", "--db")[0]["posts"]
        with Store(tmp_path / "posts.db") as store, store.transaction():
            corrected = [replace(verdict, at=utc_now() + DAY, labels=ALL_FIVE) for _, verdict in store.verdicts.all()]
            assert store.verdicts.give(corrected) == 60
        assert told("evaluate", "--db")[0]["posts"] == before

    def test_a_version_whose_folder_is_gone_is_told_and_can_be_left(self, taught: Taught, tmp_path: Path) -> None:
        taught(60)
        said(sentimon("train", "--from-verdicts", "--output", "elsewhere"))
        (tmp_path / "elsewhere").rename(tmp_path / "moved")
        for args in (("evaluate", "--db"), ("train", "--from-verdicts"), ("score",), ("models", "use", "own-1")):
            assert "model own-1: its folder " in complaint(sentimon(*args, stdin="hello there"))
        said(sentimon("models", "use", "bundled"))
        assert said(sentimon("score", stdin="the phone is great")).count("bundled-9") == 1

    def test_too_few_verdicts_are_refused(self, taught: Taught, tmp_path: Path) -> None:
        taught(49)
        assert "1 more are needed" in complaint(sentimon("train", "--from-verdicts"))
        assert not (tmp_path / "models").exists()

    def test_a_refusal_leaves_no_folder_behind_and_none_that_was_there_is_taken_away(
        self, taught: Taught, tmp_path: Path
    ) -> None:
        taught(49)
        (tmp_path / "mine").mkdir()
        assert "1 more are needed" in complaint(sentimon("train", "--from-verdicts", "--output", "mine/a/b"))
        assert not list((tmp_path / "mine").iterdir())

    def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_learned(
        self, taught: Taught, tmp_path: Path
    ) -> None:
        taught(60)
        (tmp_path / "file").touch()
        for place in ("a/" + "b" * 300 + "/c", "b" * 300, "file/a"):
            line = complaint(sentimon("train", "--from-verdicts", "--output", place), 1)
            assert line.endswith("; name another with --output")
        assert not (tmp_path / "a").exists()

    def test_a_folder_for_the_result_is_made_with_all_above_it(self, taught: Taught, tmp_path: Path) -> None:
        taught(60)
        assert "own-1 is kept in " in said(sentimon("train", "--from-verdicts", "--output", "mine/a/b"))
        assert (tmp_path / "mine/a/b/config.json").is_file()
        assert [path.name for path in (tmp_path / "mine/a").iterdir()] == ["b"]

    def test_a_folder_that_is_there_is_not_written_over(self, taught: Taught, tmp_path: Path) -> None:
        taught(0)
        (tmp_path / "mine").mkdir()
        assert "mine: is there already" in complaint(sentimon("train", "--from-verdicts", "--output", "mine"))

    def test_only_the_bundled_model_learns(self, taught: Taught, tmp_path: Path) -> None:
        configure(tmp_path, '[model]\nname = "someone/else"\n')
        for args in (("train", "--from-verdicts"), ("models", "use", "bundled")):
            assert 'name it "bundled"' in complaint(sentimon(*args))

    def test_an_unknown_version_is_refused_with_those_there_are(self, taught: Taught) -> None:
        assert "own-3: not registered" in complaint(sentimon("models", "use", "own-3"))

    def test_verdicts_and_a_recipe_do_not_go_together(self, taught: Taught) -> None:
        assert "--from-verdicts" in complaint(sentimon("train", "--from-verdicts", "--recipe", "r.toml"), 2)
        assert "--from-verdicts" in complaint(sentimon("train"), 2)
