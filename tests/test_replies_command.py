"""`sentimon replies`: the list, and what a person says of a reply of which nobody knows."""

import json
from pathlib import Path

import pytest

from db.errors import SourceUnavailable
from db.store import Store
from jobs.desk.answer import draft, submit
from jobs.reply import reply
from tests.cli_rig import configure, said, sentimon
from tests.reply_rig import ANN, Scripted, case_of, outbox
from tests.support import NOW


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reply of which nobody knows (1), and a draft (2)."""
    configure(tmp_path)
    monkeypatch.chdir(tmp_path)
    with Store(tmp_path / "posts.db") as store:
        box = outbox(Scripted([SourceUnavailable("X did not answer")]))
        for number in (1, 2):
            case = case_of(store, number)
            with store.transaction():
                draft(store, case.id, ANN, NOW, text=f"We are sorry \x1b[31m{number}.")
                if number == 1:
                    submit(store, case.id, ANN, NOW, outbox=box)
        reply(store, box, NOW)
    return tmp_path


def test_what_is_uncertain_is_listed_with_what_to_do(folder: Path) -> None:
    shown = said(sentimon("replies"))
    assert "reply 1  unknown" in shown
    assert "to zoe on x: @acme it is broken 1" in shown
    assert "nobody knows whether it was sent: X did not answer" in shown
    assert "sentimon replies sent 1, or not-sent 1" in shown
    assert "\x1b[31m" not in shown
    assert "reply 2" not in shown
    assert "reply 2  draft" in said(sentimon("replies", "--state", "draft"))
    assert said(sentimon("replies", "--state", "sent")) == "No replies.\n"


def test_the_list_can_be_read_by_programs(folder: Path) -> None:
    (found,) = json.loads(said(sentimon("replies", "--json")))
    assert {found[name] for name in ("id", "case")} == {1}
    assert (found["state"], found["author"], found["brand"], found["source"]) == ("unknown", "ann", "Acme", "x")


def test_a_person_says_that_it_was_sent(folder: Path) -> None:
    assert (
        said(sentimon("replies", "sent", "1", "--url", "https://x.example/9", "--by", "dora")) == "reply 1 was sent\n"
    )
    (found,) = json.loads(said(sentimon("replies", "--state", "sent", "--json")))
    assert found["url"] == "https://x.example/9"
    with Store(folder / "posts.db") as store:
        case = store.cases.get(1)
        assert case is not None
        assert case.state == "replied"
        last = store.cases.events(1)[-1]
    assert (last.what, last.who) == ("said to be sent", "dora")


@pytest.mark.parametrize(("more", "state"), [((), "draft"), (("--again",), "queued")])
def test_a_person_says_that_it_was_not_sent(folder: Path, more: tuple[str, ...], state: str) -> None:
    said(sentimon("replies", "not-sent", "1", *more))
    assert "reply 1" in said(sentimon("replies", "--state", state))


def test_looking_without_proof_changes_nothing(folder: Path) -> None:
    assert "proves nothing" in said(sentimon("replies", "look", "1"))
    assert "reply 1  unknown" in said(sentimon("replies"))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("sent", "99"), "no reply 99; `sentimon replies` lists them"),
        (("not-sent", "2"), "reply 2 is draft: nothing is unknown of it"),
        (("sent", "1", "--url", "javascript:x"), "give the reply's address"),
        (("sentt", "1"), "did you mean sent?"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(folder: Path, args: tuple[str, ...], says: str) -> None:
    result = sentimon("replies", *args)
    assert result.exit_code != 0
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
