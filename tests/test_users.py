"""The commands `sentimon users` and `sentimon tokens`: who may log in, and the keys of programs."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from db.desk import User
from db.store import Store
from monitor import accounts
from tests.cli_rig import COMMAND, NOW, complaint, configure, environment, said, sentimon, told
from tests.support import DAY
from tests.web_visitor import PASSWORD, QUICK, quick

__all__ = ["quick"]
pytestmark = pytest.mark.usefixtures("quick")


def add(name: str, role: str = "admin", *more: str, password: str = PASSWORD) -> str:
    return said(sentimon("users", "add", name, "--role", role, "--password-stdin", *more, stdin=f"{password}\n"))


def stored(folder: Path, name: str) -> User:
    with Store(folder / "posts.db") as store:
        return accounts.known(store, name)


def test_a_brand_that_is_named_twice_is_stored_once(folder: Path) -> None:
    add("eve")
    add("ann", "viewer", "--brand", "Acme", "--brand", "acme")
    assert stored(folder, "ann").brands == ("Acme",)
    said(sentimon("users", "brands", "ann", "--brand", "ACME", "--brand", "Acme"))
    assert stored(folder, "ann").brands == ("Acme",)


def test_users_are_added_listed_and_changed(folder: Path) -> None:
    assert "No users: the pages are for this machine alone." in said(sentimon("users"))
    assert add("ann") == "ann may log in, with the role admin\n"
    add("Zoë Öz", "viewer", "--brand", "ACME")
    assert said(sentimon("users", "role", "zoë Öz", "approver")) == "Zoë Öz has the role approver\n"
    rows = told("users")
    assert [(row["name"], row["role"], row["brands"]) for row in rows] == [
        ("ann", "admin", None),
        ("Zoë Öz", "approver", ["Acme"]),
    ]
    assert said(sentimon("users", "brands", "Zoë Öz", "--all")) == "Zoë Öz sees all brands\n"
    said(sentimon("users", "disable", "Zoë Öz"))
    assert "disabled" in said(sentimon("users"))
    said(sentimon("users", "enable", "Zoë Öz"))
    assert not told("users")[1]["disabled"]


def test_the_last_admin_stays_one(folder: Path) -> None:
    add("ann")
    add("bob", "approver")
    for command in (("disable", "ann"), ("role", "ann", "viewer")):
        assert "ann is the last admin: make somebody else one first" in complaint(sentimon("users", *command))
    said(sentimon("users", "role", "bob", "admin"))
    said(sentimon("users", "disable", "ann"))
    assert "bob is the last admin" in complaint(sentimon("users", "disable", "bob"))  # one who is disabled is none
    assert stored(folder, "bob").may("admin")


def test_the_first_user_is_an_admin(folder: Path) -> None:
    result = sentimon("users", "add", "ann", "--role", "viewer", "--password-stdin", stdin=PASSWORD)
    assert "the first user must have the role admin" in complaint(result)


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("ann", "short", "12 to 1000 characters"),
        ("ann", "a" * 1001, "12 to 1000 characters"),
        ("ann", "", "12 to 1000 characters"),
        ("ann", "aaaaaaaaaaaaaaaa", "repeats few characters"),
        ("annabelle smith", "Annabelle Smith1", "little more than the name"),
        ("local", PASSWORD, "the name local is taken"),
        ("LOCAL", PASSWORD, "the name local is taken"),
        ("", PASSWORD, "a name has 1 to 60 characters"),
        ("a" * 61, PASSWORD, "a name has 1 to 60 characters"),
        ("a\u202eb", PASSWORD, "a name has 1 to 60 characters"),
        ("a\x1bb", PASSWORD, "a name has 1 to 60 characters"),
    ],
)
def test_what_makes_no_user_is_told_in_a_line(folder: Path, name: str, password: str, why: str) -> None:
    result = sentimon("users", "add", name, "--role", "admin", "--password-stdin", stdin=f"{password}\n")
    assert why in complaint(result)
    assert password not in complaint(result) or len(password) < 3
    assert told("users") == []


def test_mistakes_are_told_in_a_line(folder: Path) -> None:
    add("ann")
    assert "there is a user ANN already" in complaint(
        sentimon("users", "add", "ANN", "--role", "viewer", "--password-stdin", stdin=PASSWORD)
    )
    assert "no user 'eve'; there are: ann" in complaint(sentimon("users", "disable", "eve"))
    assert "no brand 'Umbrella'; there are: Acme" in complaint(
        sentimon("users", "brands", "ann", "--brand", "Umbrella")
    )
    assert "name either --brand" in complaint(sentimon("users", "brands", "ann"))
    assert "did you mean disable?" in complaint(sentimon("users", "disabel", "ann"))
    assert "--password-stdin reads it" in complaint(sentimon("users", "passwd", "ann"))


def test_a_password_is_asked_for_twice_and_not_shown(folder: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "users", "add", "ann", "--role", "admin"]
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment())
    os.close(theirs)
    seen = b""
    for asked in (b"Password: ", b"Once more: "):
        while not seen.endswith(asked):
            seen += os.read(ours, 1)
        os.write(ours, f"{PASSWORD}\n".encode())
    while chunk := _read(ours):
        seen += chunk
    os.close(ours)
    assert process.wait(30) == 0
    assert b"ann may log in, with the role admin" in seen
    assert PASSWORD.encode() not in seen


def _read(end: int) -> bytes:
    try:
        return os.read(end, 1000)
    except OSError:  # as Linux says that the other end is closed
        return b""


def test_another_password_ends_all_sessions(folder: Path) -> None:
    from db.desk import Session

    add("ann")
    with Store(folder / "posts.db") as store, store.transaction():
        for key in ("a", "b"):
            store.sessions.add(Session(key, 1, NOW, NOW, NOW + DAY, "Firefox\x1b[2J"))
    listed = said(sentimon("users", "sessions", "ann"))
    assert listed.count("last seen 2026-03-04 12:00 UTC") == 2
    assert "\x1b" not in listed
    told_ = said(sentimon("users", "passwd", "ann", "--password-stdin", stdin="quite another sentence\n"))
    assert told_ == "ann has another password, and is logged in nowhere\n"
    assert said(sentimon("users", "sessions", "ann", "--end")) == "ann is logged in nowhere\n"
    with Store(folder / "posts.db") as store:
        user = store.users.named("ann")
        assert accounts.verified(store, user, "quite another sentence")
        assert not accounts.verified(store, user, PASSWORD)


def test_a_hash_of_other_parameters_is_made_anew_when_its_owner_logs_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("ann")
    stronger = type(QUICK)(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(accounts, "hasher", lambda: stronger)
    with Store(folder / "posts.db") as store:
        user = store.users.named("ann")
        before = store.users.password(1)
        assert not accounts.verified(store, user, "wrong")
        assert store.users.password(1) == before
        assert accounts.verified(store, user, PASSWORD)
        after = store.users.password(1) or ""
    assert "m=16,t=2" in after
    assert "m=8,t=1" in (before or "")


def test_passwords_are_kept_as_argon2id_with_the_parameters_of_the_library(tmp_path: Path) -> None:
    configure(tmp_path)
    process = subprocess.run(
        [sys.executable, "-c", "from monitor.accounts import hasher; print(hasher().hash('x'))"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
        timeout=60,
    )
    assert process.stdout.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_token_is_shown_once(folder: Path) -> None:
    add("ann")
    key = said(sentimon("tokens", "add", "sheet", "--user", "ann", "--scope", "read", "--days", "90")).strip()
    assert key.startswith("sm_")
    assert len(key) > 40
    listed = said(sentimon("tokens"))
    assert "sheet" in listed
    assert key not in listed + said(sentimon("tokens", "--json"))
    (row,) = told("tokens")
    assert (row["user"], row["scopes"], row["used"]) == ("ann", ["read"], None)
    assert said(sentimon("tokens", "revoke", "1")) == "token 1 is revoked\n"
    assert "no token 1" in complaint(sentimon("tokens", "revoke", "1"))
    assert "No tokens." in said(sentimon("tokens"))
    assert "a token's name" in complaint(sentimon("tokens", "add", " ", "--user", "ann", "--scope", "read"))


def test_a_token_takes_no_scope_that_its_owner_lacks_the_role_for(folder: Path) -> None:
    add("ann")
    add("bob", "responder")
    line = complaint(sentimon("tokens", "add", "x", "--user", "bob", "--scope", "read", "--scope", "admin"))
    assert "the scope admin takes the role admin; bob has the role responder" in line
    assert "No tokens." in said(sentimon("tokens"))
    said(sentimon("tokens", "add", "x", "--user", "bob", "--scope", "read", "--scope", "desk"))
