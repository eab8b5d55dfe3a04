"""Each channel is told once, and again when there is more to say; nothing that strangers write has power in a chat."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from db.errors import DeliveryFailed, InputError
from db.store import Store
from jobs.decide import MAX_AGE
from jobs.notify import ATTEMPTS
from jobs.wording import harmless
from monitor.channels.apprise import AppriseChannel, AppriseOptions, build
from tests.notify_rig import Desk, alert, save, states, tell
from tests.support import DAY, HOUR, MINUTE, NOW, Hook


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as hook:
        yield hook


# --- once -----------------------------------------------------------------------------------------------------------


def test_each_channel_is_told_of_each_alert_once(store: Store, hook: Hook) -> None:
    alert(store)
    alert(store, brand="Bolt")
    channels = {name: AppriseChannel(hook.url(name)) for name in ("desk", "boss")}
    assert tell(store, **channels) == (4, 0, None)
    assert tell(store, NOW + MINUTE, **channels) == (0, 0, None)
    assert sorted((one.path, one.body["title"]) for one in hook.received) == [
        ("/boss", "Negative spike: Acme"),
        ("/boss", "Negative spike: Bolt"),
        ("/desk", "Negative spike: Acme"),
        ("/desk", "Negative spike: Bolt"),
    ]
    assert {state for _, _, state, _ in states(store)} == {"sent"}


def test_a_notification_says_what_happened_and_is_urgent_where_it_is_critical(store: Store, hook: Hook) -> None:
    alert(store, *(f"thing {number}" for number in range(5)))
    tell(store, desk=AppriseChannel(hook.url()))
    said = hook.received[0].body["message"].splitlines()
    assert said[0] == "10 negative posts in 1 h, 6.7 times the 1.5 expected."
    assert {"- x: awful thing 0", "- x: awful thing 1", "- x: awful thing 2"} <= set(said)
    assert hook.received[0].body["type"] == "failure"  # it is critical


def test_getting_worse_and_the_end_are_told(store: Store, hook: Hook) -> None:
    desk = AppriseChannel(hook.url())
    going_on = alert(store)
    tell(store, desk=desk)
    save(store, replace(going_on, observed=25, last_seen=NOW + HOUR))
    assert tell(store, NOW + 30 * MINUTE, desk=desk) == (0, 0, None)
    assert tell(store, NOW + HOUR, desk=desk) == (1, 0, None)
    assert tell(store, NOW + 2 * HOUR, desk=desk) == (0, 0, None)
    save(store, replace(going_on, observed=25, last_seen=NOW + HOUR, ends=NOW + 3 * HOUR))
    assert tell(store, NOW + 4 * HOUR, desk=desk) == (1, 0, None)
    assert tell(store, NOW + 5 * HOUR, desk=desk) == (0, 0, None)
    assert [one.body["title"] for one in hook.received] == [
        "Negative spike: Acme",
        "Negative spike, getting worse: Acme",
        "Negative spike is over: Acme",
    ]
    assert [reason for _, reason, _, _ in states(store)] == ["first", "worsened", "resolved"]
    assert hook.received[2].body["message"].startswith("Over after 4 h.")
    assert [one.body["type"] for one in hook.received] == ["failure", "failure", "warning"]


def test_the_end_is_told_after_days_without_a_run(store: Store) -> None:
    desk, going_on = Desk(), alert(store)
    tell(store, desk=desk)
    save(store, replace(going_on, ends=NOW + HOUR))
    assert tell(store, NOW + 5 * DAY, desk=desk) == (1, 0, None)
    assert desk.titles[-1] == "Negative spike is over: Acme"


def test_a_spike_that_was_over_when_it_was_found_is_told_in_one_message(store: Store) -> None:
    desk = Desk()
    save(store, replace(alert(store), ends=NOW + HOUR))
    tell(store, NOW + 2 * HOUR, desk=desk)
    tell(store, NOW + 3 * HOUR, desk=desk)
    assert desk.titles == ["Negative spike, over by now: Acme"]


def test_old_alerts_and_those_of_competitors_are_told_to_nobody(store: Store) -> None:
    alert(store, seen=NOW - MAX_AGE - MINUTE)
    alert(store, brand="Bolt")
    assert tell(store, competitors=("Bolt",), desk=Desk()) == (0, 0, None)
    assert states(store) == []


def test_a_channel_that_is_added_later_is_told_of_what_goes_on(store: Store) -> None:
    alert(store)
    desk, late = Desk(), Desk()
    tell(store, desk=desk)
    tell(store, NOW + HOUR, desk=desk, late=late)
    assert (len(desk.messages), len(late.messages)) == (1, 1)


# --- again ----------------------------------------------------------------------------------------------------------


def test_a_server_error_is_tried_again_when_due_with_the_same_key(store: Store, hook: Hook) -> None:
    alert(store)
    desk = AppriseChannel(hook.url())
    hook.statuses = [500, 503]
    sent, failed, error = tell(store, desk=desk)
    assert (sent, failed) == (0, 1)
    assert error is not None
    assert error.startswith("desk: ")
    assert "\n" not in error
    (delivery,) = store.deliveries.troubled()
    assert (delivery.state, delivery.attempts, delivery.next_attempt_at) == ("failed", 1, NOW + MINUTE)
    assert tell(store, NOW + MINUTE / 2, desk=desk) == (0, 0, None)
    assert tell(store, NOW + MINUTE, desk=desk)[:2] == (0, 1)
    assert tell(store, NOW + 3 * MINUTE, desk=desk) == (1, 0, None)
    assert states(store) == [("desk", "first", "sent", 3)]
    assert store.deliveries.troubled() == []
    assert len(hook.received) == 3


def test_every_attempt_at_a_delivery_has_the_same_key_and_every_delivery_another(store: Store) -> None:
    desk, other = Desk([DeliveryFailed("away"), DeliveryFailed("away")]), Desk()
    alert(store)
    for minutes in (0, 1, 3):
        tell(store, NOW + minutes * MINUTE, desk=desk, other=other)
    keys = [message.key for message in desk.messages]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert other.messages[0].key != keys[0]


def test_one_channel_that_fails_does_not_hold_another(store: Store) -> None:
    alert(store)
    good = Desk()
    assert tell(store, bad=Desk([DeliveryFailed("away")]), good=good) == (1, 1, "bad: away")
    assert len(good.messages) == 1


def test_a_bug_in_one_channel_does_not_hold_another(store: Store) -> None:
    alert(store)
    alert(store, brand="Bolt")
    bad, good = Desk([ZeroDivisionError("oh\nno"), DeliveryFailed("away")]), Desk()
    sent, failed, error = tell(store, bad=bad, good=good)
    assert (sent, failed) == (2, 2)
    assert error == "bad: bug: ZeroDivisionError; the log has the details; bad: away"
    assert tell(store, NOW + MINUTE, bad=bad, good=good) == (2, 0, None)


def test_what_cannot_be_delivered_is_given_up_and_stays_visible(store: Store) -> None:
    alert(store)
    desk = Desk([DeliveryFailed("away")] * 99)
    now = NOW
    for _ in range(ATTEMPTS):
        tell(store, now, desk=desk)
        now += HOUR
    assert states(store) == [("desk", "first", "dead", ATTEMPTS)]
    assert [each.error for each in store.deliveries.troubled()] == ["away"]
    assert tell(store, now, wrong=Desk([DeliveryFailed("no such room", permanent=True)]))[:2] == (0, 1)
    assert states(store)[1] == ("wrong", "first", "dead", 1)


def test_the_waits_grow_to_an_hour(store: Store) -> None:
    alert(store)
    desk, now, waits = Desk([DeliveryFailed("away")] * 99), NOW, []
    for _ in range(ATTEMPTS - 1):
        tell(store, now, desk=desk)
        (delivery,) = store.deliveries.troubled()
        assert delivery.next_attempt_at is not None
        waits.append((delivery.next_attempt_at - now) / MINUTE)
        now = delivery.next_attempt_at
    assert waits == [1, 2, 4, 8, 16, 32, 60]


def test_a_port_that_nobody_listens_on_is_a_failure_to_try_again(store: Store) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alert(store)
    assert tell(store, desk=AppriseChannel(f"json://127.0.0.1:{port}/hook"))[:2] == (0, 1)
    assert states(store) == [("desk", "first", "failed", 1)]


def test_a_delivery_cut_off_by_a_crash_is_sent_again_with_its_key(store: Store) -> None:
    alert(store)
    cut = Desk([KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        tell(store, desk=cut)
    assert states(store) == [("desk", "first", "sending", 1)]
    again = Desk()
    assert tell(store, NOW + MINUTE, desk=again) == (1, 0, None)
    assert again.messages == cut.messages


def test_a_delivery_cut_off_by_sigkill_is_sent_again(store: Store, hook: Hook) -> None:
    alert(store)
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        from db.store import Store
        from jobs.notify import Telling, notify
        from jobs.outlet import Outlet
        from tests.support import NOW
        class Killed:
            def send(self, message):
                os.kill(os.getpid(), signal.SIGKILL)
        with Store(Path(sys.argv[1])) as store:
            notify(store, {"desk": Outlet(Killed())}, Telling(), NOW)
    """
    killed = subprocess.run([sys.executable, "-c", code, str(store.path)], check=False)
    assert killed.returncode == -9
    assert states(store) == [("desk", "first", "sending", 1)]
    assert tell(store, NOW + MINUTE, desk=AppriseChannel(hook.url())) == (1, 0, None)
    assert len(hook.received) == 1


def test_a_message_that_could_not_be_sent_is_overtaken_by_a_later_one(store: Store) -> None:
    one = alert(store)
    desk = Desk([DeliveryFailed("away")])
    tell(store, desk=desk)
    with store.transaction():
        store.alerts.save(replace(one, ends=NOW + MINUTE), ())
    assert tell(store, NOW + HOUR, desk=desk) == (1, 0, None)
    assert [message.title for message in desk.messages[1:]] == ["Negative spike, over by now: Acme"]
    assert states(store) == [("desk", "first", "dead", 1), ("desk", "past", "sent", 1)]


def test_a_message_that_waited_longer_than_a_day_is_not_sent(store: Store) -> None:
    alert(store)
    tell(store, old=Desk([DeliveryFailed("away")]))
    back = Desk()
    assert tell(store, NOW + 3 * DAY, old=back) == (0, 0, None)
    assert back.messages == []
    assert states(store) == [("old", "first", "dead", 1)]


# --- hostile text ---------------------------------------------------------------------------------------------------

ATTACK = (
    "@everyone @here <!channel> <@U123> <https://evil.example|click> [win](https://evil.example) **bold** `code` "
    "||spoiler|| ~~gone~~ _it_\r\n# heading\n> quote\u2028\u202egnorw\u202c \u2066x\u2069 \x1b[31mred\x07 \u200f"
)


def body_of(store: Store, hook: Hook, *texts: str) -> str:
    alert(store, *texts)
    assert tell(store, desk=AppriseChannel(hook.url())) == (1, 0, None)
    return str(hook.received[0].body["message"])


def test_a_strangers_text_has_no_power_in_a_chat(store: Store, hook: Hook) -> None:
    body = body_of(store, hook, ATTACK[:100], ATTACK[100:])
    for power in ("@everyone", "@here", "<", ">", "](", "://", "**", "`", "||", "~~", "_it_", "\x1b", "\x07", "\r"):
        assert power not in body
    for direction in "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029":
        assert direction not in body
    assert len([line for line in body.splitlines() if line.startswith("- x: ")]) == 2
    assert not [line for line in body.splitlines() if line.startswith(("#", ">", " "))]  # of a post's own making
    assert "everyone" in body
    assert "gnorw" in body


def test_a_brand_named_by_an_imported_file_has_no_power_either(store: Store, hook: Hook) -> None:
    alert(store, brand="@everyone\n<!here> [x](https://evil.example)")
    tell(store, desk=AppriseChannel(hook.url()))
    shown = hook.received[0].body["title"] + hook.received[0].body["message"]
    for power in ("@everyone", "<", "](", "://"):
        assert power not in shown
    assert "\n" not in hook.received[0].body["title"]


@pytest.mark.parametrize("text", ["عربي", "你好，世界", "👩🏽‍🚀 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️", "naïve café", "می‌خواهم"])
def test_all_scripts_and_emoji_arrive_whole(store: Store, hook: Hook, text: str) -> None:
    assert f"- x: awful {text}\n" in body_of(store, hook, text)


def test_a_long_post_is_cut(store: Store, hook: Hook) -> None:
    body = body_of(store, hook, "long " * 2000)
    assert max(map(len, body.splitlines())) < 160
    assert "…" in body


def test_harmless_text_stays_as_it_is() -> None:
    assert harmless("It's 5:30, why 100% + 3 = (4)? #acme & co.") == "It's 5:30, why 100% + 3 = (4)? #acme & co."


# --- secrets --------------------------------------------------------------------------------------------------------

SECRET = "hunter2-token"


@pytest.mark.parametrize("status", [None, 401, 500])
def test_the_secrets_of_a_channel_are_in_no_error(
    store: Store, hook: Hook, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    alert(store)
    url = hook.url(SECRET).replace("json://", f"json://user:{SECRET}@")
    if status is None:
        url = f"json://user:{SECRET}@127.0.0.1:1/{SECRET}"
    else:
        hook.statuses = [status]
    _, failed, error = tell(store, desk=AppriseChannel(url))
    assert failed == 1
    (delivery,) = store.deliveries.troubled()
    assert SECRET not in f"{error}{delivery.error}{caplog.text}"


@pytest.mark.parametrize("url", ["", "nonsense", f"nosuch://{SECRET}", "json://", "slack://short"])
def test_a_url_that_apprise_does_not_know_is_refused_without_repeating_it(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError) as refused:
        build(AppriseOptions.model_validate({"url": url}))
    assert SECRET not in f"{refused.value}{caplog.text}"
