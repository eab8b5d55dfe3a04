"""Numbers, times and alerts in words; and what is taken from words that strangers wrote."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import RULES
from jobs.facts import safe_url
from jobs.wording import between, harmless, length, number, percent, place, roughly, summary
from tests.test_compose import AT, of_rule


@pytest.mark.parametrize(
    "text", ["عربي", "你好，世界", "👩🏽‍🚀 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️", "naïve café", "می‌خواهم", "It's 5:30, why 100% + 3 = (4)? #acme & co."]
)
def test_what_does_no_harm_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@given(st.text())
def test_what_was_made_harmless_once_is_left_alone_and_cannot_act(text: str) -> None:
    once = harmless(text)
    assert harmless(once) == once
    assert not set(once) & set("*_`~<>[]|\n\r")
    assert "://" not in once
    assert all(
        sign == "\u200b" for sign in (once[at + 1 : at + 2] for at in range(len(once)) if once[at] == "@") if sign
    )


@given(st.text(), st.integers(1, 50))
def test_harmless_text_is_cut(text: str, most: int) -> None:
    assert len(harmless(text, most).replace("\u200b", "")) <= most


def test_numbers_and_times_are_written_as_people_read_them() -> None:
    assert [number(v) for v in (0, 0.47, 3, 3.21, 12.6, 1206)] == ["0", "0.47", "3", "3.2", "13", "1,206"]
    assert [percent(v) for v in (0, 0.001, 0.17, 1)] == ["0%", "under 1%", "17%", "100%"]
    assert [roughly(v) for v in (870, 12_400, 1_240_000)] == ["870", "12,000", "1.2 million"]
    spans = [timedelta(minutes=m) for m in (0, 25, 60, 125, 1440, 4560)]
    assert [length(span) for span in spans] == ["0 min", "25 min", "1 h", "2 h 5 min", "1 day", "3 days 4 h"]
    assert between(AT, AT + timedelta(days=1)) == "Sat 2026-11-21 16:20 to Sun 2026-11-22 16:20 UTC"
    assert [place("source", "reddit"), place("stage", "none"), place("touchpoint", "contact_centre")] == [
        "on reddit",
        "with no stage",
        "at the touchpoint contact centre",
    ]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_summary_of_one_line(rule: str) -> None:
    text = summary(of_rule(rule))
    assert text.startswith(("Norvane: ", "reddit-main: "))
    assert len(text) < 300
    assert "\n" not in text


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://reddit.com/r/x/1", "https://reddit.com/r/x/1"),
        ("https://mastodon.example/@ann/1", "https://mastodon.example/%40ann/1"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("https://good.example@evil.example/", None),
        ("https://", None),
        ("https://a.example/<script>", None),
        ("https://a.example/x y", None),
        ("https://a.example/\u202e", None),
        ("https://[", None),
        ("https://a.example/" + "x" * 5000, None),
        (None, None),
    ],
)
def test_only_plain_addresses_of_the_web_are_passed_on(url: str | None, kept: str | None) -> None:
    assert safe_url(url) == kept
