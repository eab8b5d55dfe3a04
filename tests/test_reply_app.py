"""Replies in the whole program: from sentimon.toml through the jobs to the platform."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from db.errors import ConfigError
from db.records import Match
from db.store import Store
from jobs.desk.answer import draft, submit
from jobs.schedule import run_job
from monitor import config, plugins
from monitor.app import App
from tests.fake_x import FakeX
from tests.reply_rig import ANN, case_of
from tests.support import HOUR, NOW, keep, mention, rows

KEYS = """
replies = true
api_key = "api-key"
api_secret = "api-key-secret"
access_token = "77-access-token"
access_token_secret = "access-secret"
"""


def app_of(folder: Path, url: str, more: str = KEYS, brand: str = 'accounts = { x = "acme" }') -> App:
    path = folder / "sentimon.toml"
    path.write_text(
        f'database = "posts.db"\n[[brands]]\nname = "Acme"\nquery = "acme"\n{brand}\n'
        f'[[sources]]\nkind = "x"\nevery = "15m"\nbearer_token = "test-token"\napi_url = "{url}"\n{more}',
        encoding="utf-8",
    )
    return App(config.load(path, plugins.load(third_party=False)))


def match_of(store: Store, source_id: str) -> Match:
    found = store.mentions.named("x", source_id, "Acme")
    assert found is not None
    return found


def test_a_post_that_mentions_us_is_collected_answered_and_sent(tmp_path: Path) -> None:
    with FakeX(now=lambda: NOW, accounts={"acme": "77"}) as fake:
        number = fake.add("@acme it is broken", NOW - HOUR)
        app = app_of(tmp_path, fake.url)
        jobs = {job.name: job for job in app.jobs()}
        with app.store() as store:
            assert run_job(jobs["collect"], store, lambda: NOW).error is None
            assert match_of(store, number).mention.addressed == ("acme",)
            case = case_of(store, post=match_of(store, number).mention)
            with store.transaction():
                draft(store, case.id, ANN, NOW, text="We are sorry.")
                submit(store, case.id, ANN, NOW, outbox=app.outbox)
            assert run_job(jobs["reply"], store, lambda: NOW).counts["sent"] == 1
            assert jobs["reply"].every == timedelta(seconds=10)
        assert [fake._posts[int(each)].reply_to for each in fake.sent] == [number]
        assert fake.bill["reply"] == 1


def test_a_source_that_cannot_answer_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.x: `replies` needs the account that answers"):
        app_of(tmp_path, "https://x.example", brand="").jobs()
    with pytest.raises(ConfigError, match="`replies` needs `api_key`") as error:
        app_of(tmp_path, "https://x.example", more='replies = true\napi_secret = "api-key-secret"\n')
    assert "api-key-secret" not in str(error.value)


def test_who_is_addressed_is_kept_added_to_and_erased(tmp_path: Path) -> None:
    path = tmp_path / "posts.db"
    with Store(path) as store:
        keep(store, mention(1))  # by a search, which does not tell
        assert match_of(store, "1").mention.addressed == ()
        keep(store, mention(1, addressed=("acme",)))  # by the list of mentions
        keep(store, mention(1, addressed=("globex", "acme")))
        keep(store, mention(1))
        assert match_of(store, "1").mention.addressed == ("acme", "globex")
        assert json.loads(rows(path, "SELECT addressed FROM mentions")[0][0]) == ["acme", "globex"]
        with store.transaction():
            store.forgotten.erase_named("x", ["1"], NOW, "deleted")
        assert rows(path, "SELECT addressed FROM mentions") == [(None,)]
