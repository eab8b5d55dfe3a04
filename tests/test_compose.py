"""What a notification says: the most important first, for every rule and reason, and nothing of a stranger's acts."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from db.records import RULES, Alert, Match, Mention, Part, Reach, Story
from jobs.channel import Message
from jobs.compose import compose, harmless, trial
from jobs.decide import Reason
from jobs.facts import alert_facts, safe_url
from jobs.letter import SHORT, Block, Letter, plain
from jobs.links import NO_LINKS, Links
from jobs.wording import moment
from monitor.mail.page import page

AT = datetime(2026, 11, 21, 16, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DESK = Links("https://desk.example", lambda number: "t0ken")
PARTS = (
    Part("source", "reddit", 41, 0.3, 0.89),
    Part("stage", "purchase", 38, 0.2, 0.83),
    Part("pillar", "process", 30, 0.2, 0.7),
    Part("stage", "use", 8, 0.2, 0.17),
    Part("source", "x", 5, 0.1, 0.11),
)
STORY = Story(
    parts=PARTS,
    confined_to=PARTS[0],
    terms=("charged twice", "refund"),
    new_terms=("charged twice", "double billing"),
    posts=(1, 2, 3),
    authors=44,
    copies=4,
    reach=120_400,
    baseline_since=AT - timedelta(days=28),
)
SPIKE = Alert(
    id=12,
    brand="Norvane",
    rule="negative spike",
    starts=AT,
    last_seen=AT + 80 * MINUTE,
    ends=None,
    severity="critical",
    observed=46,
    expected=0.47,
    factor=97.9,
    probability=6e-6,
    window_minutes=180,
    mentions=61,
    share=0.754,
    usual_share=0.17,
    summary="",
    in_common=("charged twice", "refund"),
    score=5.2,
    low=0.0,
    high=3.0,
    story=STORY,
)
OVER = replace(SPIKE, ends=AT + 125 * MINUTE)


def post(number: int = 1, text: str = "Norvane charged me twice", source: str = "reddit", **more: Any) -> Match:
    reach = more.pop("reach", Reach())
    mention = Mention(source, f"t3_{number}", "someone", text, AT, AT, reach=reach)
    return Match(number, "Norvane", replace(mention, **more), "negative", "purchase", negative=0.9)


POSTS = [
    post(1),
    post(2, "Double billing again, refund me now", "x", reach=Reach(followers=12_400)),
    post(3, "Anyone else charged twice today?", reach=Reach(likes=312)),
]


def told(reason: Reason = Reason.FIRST, alert: Alert = SPIKE, count: int = 48, **more: Any) -> Message:
    shown = more.pop("shown", POSTS)
    return compose("sentimon-12-7", reason, alert, shown, count, **more)


def of_rule(rule: str, **more: Any) -> Alert:
    """An alert as the jobs make it: what a rule does not know is 0."""
    nothing = {"probability": 0.0, "mentions": 0, "share": 0.0, "usual_share": 0.0, "in_common": (), "story": None}
    given: dict[str, dict[str, Any]] = {
        "negative spike": {},
        "volume spike": {
            "observed": 412, "expected": 120.3, "low": 95.0, "high": 150.0, "factor": 3.42, "mentions": 412,
            "share": 0.18, "window_minutes": 15,
        },
        "share shift": {
            "observed": 410, "expected": 253.0, "low": 0.0, "high": 0.0, "factor": 1.6, "mentions": 1206,
            "share": 0.34, "usual_share": 0.21, "window_minutes": 4320, "story": None, "in_common": (),
        },
        "silence": {
            **nothing, "observed": 0, "expected": 40.2, "low": 28.0, "high": 53.0, "factor": 0.0,
            "window_minutes": 360,
        },
        "single post": {
            **nothing, "observed": 1, "expected": 0.0, "low": 0.0, "high": 0.0, "factor": 0.0, "mentions": 1,
            "window_minutes": 0, "scope": "x 123", "in_common": ("230,000 followers",), "last_seen": AT, "ends": AT,
        },
        "stale source": {
            **nothing, "brand": "", "scope": "reddit-main", "observed": 0, "expected": 0.0, "low": 0.0, "high": 0.0,
            "factor": 0.0, "summary": f"reddit-main: not read since {moment(AT)}: HTTP 503",
        },
    }  # fmt: skip
    return replace(SPIKE, **({"rule": rule} | given[rule] | more))


# --- what it says ---------------------------------------------------------------------------------------------------


def test_a_negative_spike_is_told_the_most_important_first() -> None:
    message = told(links=DESK, chart=b"png")
    assert message.title == "Negative spike: Norvane"
    assert message.body == (
        "46 negative posts in 3 h, 98 times the 0.47 expected (0 to 3).\n"
        "\n"
        "75% of its 61 mentions negative, usually 17%.\n"
        "Since Sat 2026-11-21 16:20 UTC, for 1 h 25 min so far.\n"
        "Almost all on reddit (41 of 46), mostly at the stage purchase (38 of 46), "
        "all about its processes (30 of 30).\n"
        "\n"
        "New words: charged twice, double billing\n"
        "\n"
        "- reddit: Norvane charged me twice\n"
        "- x, 12,000 followers: Double billing again, refund me now\n"
        "- reddit, 312 likes: Anyone else charged twice today?\n"
        "\n"
        "48 negative posts in all, by 44 authors, 4 of them copies of another; together they have 120,000 followers.\n"
        "\n"
        "How sure: in trials a brand had a false alarm as strong as this about once a year.\n"
        "Expected from its posts since 2026-10-24.\n"
        "\n"
        "Take, silence or judge it: https://desk.example/alerts/12?token=t0ken\n"
        "\n"
        "Alert 12, critical. A chart is attached."
    )
    assert (message.key, message.urgent, message.image) == ("sentimon-12-7", True, b"png")


def test_the_end_is_told_with_how_long_it_lasted_and_without_posts() -> None:
    message = told(Reason.RESOLVED, OVER)
    assert message.title == "Negative spike is over: Norvane"
    assert message.body.startswith("Over after 2 h 5 min. At its height: 46 negative posts in 3 h")
    assert "From Sat 2026-11-21 16:20 to 18:25 UTC, 2 h 5 min." in message.body
    assert "charged me twice" not in message.body
    assert "silence" not in message.body
    assert not message.urgent


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("links", [NO_LINKS, DESK], ids=["commands", "links"])
def test_every_rule_and_reason_has_words(rule: str, reason: Reason, links: Links) -> None:
    alert = of_rule(rule, **({"ends": AT + 125 * MINUTE} if reason in (Reason.RESOLVED, Reason.PAST) else {}))
    message = told(reason, alert, links=links, page=page)
    assert message.title.endswith(": Norvane" if alert.brand else ": reddit-main")
    assert len(message.title) < 80
    assert 60 < len(message.body) <= SHORT
    for slip in ("None", "{", "}", "()", "..", " ,", "\n\n\n", ":\n\n"):
        assert slip not in message.body, slip
    assert message.facts["rule"] == rule
    assert message.html is not None
    assert harmless(message.title) in message.html
    assert ("sentimon " in message.body) == (links is NO_LINKS)


@pytest.mark.parametrize(
    ("rule", "begins"),
    [
        ("negative spike", "46 negative posts in 3 h, 98 times the 0.47 expected (0 to 3)."),
        ("volume spike", "412 mentions in 15 min, 3.4 times the 120 expected (95 to 150)."),
        ("share shift", "34% of its 1,206 mentions negative, usually 21%, over 3 days."),
        ("silence", "0 mentions in 6 h, 40 expected (28 to 53)."),
        ("single post", "One post that matters alone (230,000 followers)."),
        ("stale source", "Not read since Sat 2026-11-21 16:20 UTC."),
    ],
)
def test_each_rule_begins_with_what_happened(rule: str, begins: str) -> None:
    assert told(alert=of_rule(rule)).body.startswith(begins)


@pytest.mark.parametrize(
    ("reason", "title", "says"),
    [
        (Reason.WORSENED, "Negative spike, getting worse: Norvane", "It has got worse: 2 times or more"),
        (Reason.REOPENED, "Negative spike, back again: Norvane", "told that it is over, but it goes on"),
        (Reason.REPEATED, "Negative spike, still going on: Norvane", "It still goes on, and nobody has taken it."),
        (Reason.ESCALATED, "Negative spike, nobody has taken it: Norvane", "Others were told of it"),
        (Reason.PAST, "Negative spike, over by now: Norvane", "It was over already when its posts were read."),
    ],
)
def test_why_it_is_told_now_is_said(reason: Reason, title: str, says: str) -> None:
    message = told(reason, OVER if reason == Reason.PAST else SPIKE)
    assert message.title == title
    assert says in message.body


def test_a_single_post_is_news_though_nothing_goes_on() -> None:
    message = told(Reason.PAST, of_rule("single post"), shown=[post(text="recall " * 60)])
    assert message.title == "Single post: Norvane"
    assert "over" not in message.body
    assert 300 < max(map(len, message.body.splitlines())) < 420  # alone it is shown longer than in a crowd


def test_an_alert_on_a_slice_names_it() -> None:
    assert told(alert=replace(SPIKE, scope="source reddit")).title == "Negative spike: Norvane on reddit"
    assert told(alert=replace(SPIKE, scope="stage purchase")).title == "Negative spike: Norvane at the stage purchase"


def test_without_a_story_the_words_that_are_more_frequent_stand_for_it() -> None:
    body = told(alert=replace(SPIKE, story=None)).body
    assert "More often than usual: charged twice, refund" in body
    assert "New words" not in body


def test_a_slice_that_explains_little_is_not_named() -> None:
    spread = Story(parts=(Part("source", "x", 24, 2, 0.2), Part("stage", "none", 40, 2, 0.9)), authors=1)
    body = told(alert=replace(SPIKE, story=spread)).body
    assert "on x" not in body
    assert "stage" not in body
    assert "by 1 author." in body


def test_a_stale_source_says_why_and_the_end_how_long() -> None:
    assert "Why: HTTP 503." in told(alert=of_rule("stale source")).body
    over = told(Reason.RESOLVED, of_rule("stale source", ends=AT + 125 * MINUTE))
    assert over.title == "Source is read again: reddit-main"
    assert over.body.startswith("It was not read for 2 h 5 min, from Sat 2026-11-21 16:20 UTC on")


def test_one_stream_of_a_source_is_named_without_the_parameters_of_its_address() -> None:
    feed = of_rule("stale source", scope="news\nhttps://example.org/feed?key=hidden", ends=None)
    message = told(alert=feed)
    plain = message.title.replace("\u200b", "")
    assert plain == "Stale source, in part: news (https://example.org/feed?…)"
    assert message.body.startswith("This stream of the source news was not read since Sat 2026-11-21 16:20 UTC.")
    assert "hidden" not in f"{message}"
    over = told(Reason.RESOLVED, replace(feed, ends=AT + 125 * MINUTE))
    assert over.title.startswith("Source is read again: news (")


def test_a_window_that_was_not_read_wholly_is_told() -> None:
    partly = replace(SPIKE, story=replace(STORY, coverage="x: 2 of 3 hours partly read"))
    assert "Not all of it was read: x: 2 of 3 hours partly read." in told(alert=partly).body
    silent = of_rule("silence", story=Story(coverage="x: 1 hour"))
    assert "sources were read" not in told(alert=silent).body


@pytest.mark.parametrize(
    ("changes", "often"),
    [
        ({"score": 4.0}, "in 7 weeks"),
        ({"score": 4.49}, "in 7 weeks"),
        ({"score": 9.0}, "in 2 years"),
        ({"score": 2.9}, None),
        ({"scope": "source reddit"}, None),
        ({"rule": "volume spike"}, None),
    ],
)
def test_how_sure_it_is_is_said_only_where_it_was_measured(changes: dict[str, Any], often: str | None) -> None:
    body = told(alert=replace(SPIKE, **changes)).body
    assert (f"about once {often}." in body) if often else ("How sure" not in body)


def test_other_alerts_of_the_brand_have_a_line_each() -> None:
    others = [(Reason.FIRST, of_rule("volume spike", id=n)) for n in range(13, 20)]
    body = told(others=others, shown=[]).body
    lines = [line for line in body.splitlines() if line.startswith("- Volume spike: Norvane: 412 mentions in 15 min")]
    assert len(lines) == 5
    assert "- and 2 more: sentimon alerts" in body
    assert [one["alert_id"] for one in told(others=others).facts["also"]] == list(range(13, 20))


def test_without_an_address_the_commands_are_told() -> None:
    body = told().body
    assert "All its posts: sentimon queue --brand Norvane" in body
    assert "Take it: sentimon alerts take 12" in body
    assert "Silence it: sentimon alerts silence --alert 12" in body
    assert "sentimon alerts mark 12 useful" in told(Reason.RESOLVED, OVER).body


def test_a_brand_that_a_shell_would_act_on_is_quoted_or_left_out() -> None:
    assert "sentimon queue --brand 'Ben & Jerry'\"'\"'s'" in told(alert=replace(SPIKE, brand="Ben & Jerry's")).body
    assert "All its posts: sentimon queue\n" in told(alert=replace(SPIKE, brand="$(rm) `x` @a")).body


def test_who_has_taken_it_is_said() -> None:
    assert "Ann has taken it." in told(alert=replace(SPIKE, taken_by="Ann")).body


def test_what_is_told_stays_short_whatever_comes() -> None:
    long = replace(
        SPIKE,
        brand="B" * 300,
        in_common=("w" * 500,) * 9,
        story=replace(STORY, new_terms=("w" * 500,) * 9, coverage="c" * 5000),
        taken_by="t" * 400,
    )
    others = [(Reason.WORSENED, replace(long, id=n)) for n in range(30)]
    message = told(alert=long, shown=[post(n, "long " * 20_000, source="s" * 99) for n in range(9)], others=others)
    assert len(message.title) < 120
    assert len(message.body) <= SHORT
    assert "Take it: sentimon alerts take 12" in message.body


def test_where_there_is_little_room_what_matters_least_goes_first() -> None:
    blocks = [Block(["must"]), Block(["a", "b"], spare=1), Block(["c", "d"], "Also", listed=True, spare=2)]
    letter = Letter("title", "lead", blocks=blocks, notes=["note"])
    assert plain(letter) == "lead\n\nmust\n\na\nb\n\nAlso:\n- c\n- d\n\nnote"
    assert plain(letter, 34) == "lead\n\nmust\n\na\nb\n\nAlso:\n- c\n\nnote"
    assert plain(letter, 20) == "lead\n\nmust\n\na\n\nnote"
    assert plain(letter, 1) == "lead\n\nmust\n\nnote"


def test_a_test_message_says_that_it_is_one() -> None:
    message = trial(AT)
    assert message.title == "sentimon: a test"
    assert message.facts == {"kind": "test", "version": 1, "at": "2026-11-21T16:20:00Z"}


# --- for programs ---------------------------------------------------------------------------------------------------


def test_facts_are_json_with_every_number_and_the_posts() -> None:
    facts = json.loads(json.dumps(told(Reason.WORSENED, links=DESK).facts))
    assert (facts["kind"], facts["version"], facts["key"], facts["reason"]) == ("alert", 1, "sentimon-12-7", "worsened")
    assert (facts["alert_id"], facts["observed"], facts["expected"], facts["low"], facts["high"]) == (
        12,
        46,
        0.47,
        0,
        3,
    )
    assert (facts["starts"], facts["ends"]) == ("2026-11-21T16:20:00Z", None)
    assert facts["url"] == "https://desk.example/alerts/12?token=t0ken"
    assert facts["story"]["baseline_since"] == "2026-10-24T16:20:00Z"
    assert facts["story"]["confined_to"]["name"] == "reddit"
    assert [each["id"] for each in facts["posts"]] == ["t3_1", "t3_2", "t3_3"]
    assert facts["posts"][1]["followers"] == 12_400


def test_every_fact_is_documented() -> None:
    written = str(alert_facts.__doc__)
    facts = told().facts
    for key in [*facts, *facts["posts"][0], *facts["story"]]:
        assert key in written, key


def test_names_that_are_only_names_stay_as_programs_know_them() -> None:
    facts = told(alert=replace(SPIKE, brand="Booking.com")).facts
    assert facts["brand"] == "Booking.com"


# --- hostile text ---------------------------------------------------------------------------------------------------

ATTACKS = [
    "@everyone @here @channel @all",
    "<!channel> <!here> <@U123> <@&99> <#C1>",
    "<https://evil.example|click>",
    "[win](https://evil.example) ![x](http://evil.example/p.png)",
    "http://evil.example javascript://evil.example slack://open",
    "www.evil.example evil.example/phish discord.gg/abc",
    "mail boss@evil.example",
    "**bold** __under__ ~~gone~~ `code` ```block``` ||spoiler||",
    "\n# heading\n> quote\n- item\n1. item",
    "\r\nFrom: boss\r\nBcc: all",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "<a href='https://evil.example'>x</a> <style>*{display:none}</style>",
    "&lt;!channel&gt; &#64;everyone &#x3c;b&#x3e;",
    "{{ 7*7 }} {% raw %} ${x} %(x)s {0} {brand}",
    "\u202egnorw\u202c \u2066x\u2069 \u200f \u061c",
    "\x00\x07\x1b[31mred\x1b[0m\x9b31m\x7f",
    "@\u200beveryone @\u2060here \ufeff@all \u00ad",
    "\u2028line\u2029two\x0bthree\x85four",
    "\U000e0041\U000e0042 hidden \ufff9x\ufffb",
    "\ud800 lone \udfff",
    '\'; DROP TABLE alerts; -- " onclick="x',
    "*<*!channel>* @*everyone :*//evil.example",
    "spam " * 20_000,
]
POWERS: tuple[str, ...] = (
    "@everyone",
    "@here",
    "@channel",
    "@all",
    "@evil",
    "evil.example",
    "discord.gg",
    "](",
    "://",
    "<",
    ">",
    "`",
)
POWERS += ("**", "__", "||", "~~", "&lt;", "&gt;", "&#", "\x1b", "\x00", "\x07", "\x9b", "\r", "\t")
TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\x85\x0b\ufff9\ufffb\u00ad"


def attacked(attack: str) -> Message:
    """A message in which a stranger has written every field that strangers can write."""
    hostile = post(1, attack, attack, author=attack, url=f"https://evil.example/{attack}", source_id=attack)
    parts = tuple(Part(kind, attack, 40, 1, 0.9) for kind in ("source", "stage", "pillar", "touchpoint"))
    story = replace(STORY, parts=parts, confined_to=parts[0], terms=(attack,), new_terms=(attack,), coverage=attack)
    alert = replace(SPIKE, brand=attack, in_common=(attack,), story=story, taken_by=attack, summary=attack)
    others = [(Reason.FIRST, replace(alert, id=13, scope=f"source {attack}"))]
    return told(alert=alert, shown=[hostile] * 3, links=DESK, others=others, page=page)


def strings(found: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield from strings(value, name)
    elif isinstance(found, list | tuple):
        for value in found:
            yield from strings(value, key)
    elif isinstance(found, str):
        yield key, found


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_nothing_that_a_stranger_writes_acts_in_text(attack: str) -> None:
    message = attacked(attack)
    body = message.body.replace("https://desk.example/alerts/12?token=t0ken", "")
    for text in (message.title, body):
        for power in (*POWERS, *TURNS):
            assert power not in text, power
        text.encode()  # it can be sent
    assert "\n" not in message.title
    assert len(body.splitlines()) <= len(attacked("calm").body.splitlines())  # none has a line of its own making
    assert len(message.body) <= SHORT


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_nothing_that_a_stranger_writes_acts_in_facts(attack: str) -> None:
    facts = attacked(attack).facts
    for key, text in strings(facts):
        if key == "url":
            assert text.startswith("https://desk.example/") or safe_url(text) == text
        else:
            for power in (*POWERS, *TURNS):
                assert power not in text, (key, power)
    json.dumps(facts, ensure_ascii=False).encode()


class Tags(HTMLParser):
    """Everything in a document that a mail program acts on."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.values: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.values |= {f"{name}={value}" for name, value in attrs if name not in ("style", "content")}


def acting(html: str | None) -> tuple[set[str], set[str]]:
    parser = Tags()
    parser.feed(html or "")
    return parser.tags, parser.values


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_nothing_that_a_stranger_writes_acts_in_an_e_mail(attack: str) -> None:
    calm = acting(told(links=DESK, others=[(Reason.FIRST, SPIKE)], page=page).html)
    html = attacked(attack).html
    assert acting(html) == calm  # the same elements, and the one link is ours
    assert "evil.example" not in str(html)
    assert "49" not in str(html).partition("<body")[2].partition("mentions")[0]  # no template in a template


def test_an_e_mail_escapes_what_it_is_given() -> None:
    hostile = "<script>x</script> & \" '"
    letter = Letter(hostile, hostile, blocks=[Block([hostile], hostile, figures=[(hostile, hostile)])], notes=[hostile])
    html = page(replace(letter, links=[(hostile, hostile)]))
    assert "script" not in acting(html)[0]
    assert html.count("&lt;script&gt;x&lt;/script&gt; &amp; &#34; &#39;") == 11


def test_an_e_mail_fetches_nothing_and_its_one_link_is_the_alerts() -> None:
    html = str(told(links=DESK, page=page).html)
    tags, values = acting(html)
    assert tags.isdisjoint({"img", "script", "link", "style", "iframe", "form", "object", "video"})
    assert [value for value in values if "://" in value] == ["href=https://desk.example/alerts/12?token=t0ken"]
    for line in ("98 times the 0.47 expected", "charged twice, double billing", "Anyone else charged twice today?"):
        assert line in html
