"""X's filtered stream: a look of some seconds at what is posted just now, where the plan has it.

It brings a post sooner than the next search does, and loses what is posted while nobody listens: the searches stay the
lossless reading. X keeps the rules, one for each search, known by a tag of ours; other rules are left alone. Imported
by the function that needs it, since tweepy is slow to load.
"""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import tweepy

from db.errors import BudgetSpent, RateLimited, SourceUnavailable
from db.records import Batch
from monitor.collectors.deadline import Deadline
from monitor.collectors.x_api import FEWEST, FIELDS, Api
from monitor.collectors.x_options import XOptions
from monitor.collectors.x_parse import Page, Unreadable, read_mentions, read_page
from monitor.collectors.x_search import tell

log = logging.getLogger(__name__)

TAG = "sentimon: "


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the stream. `searches` are the queries of all searches, by stream."""

    api: Api
    options: XOptions
    searches: Mapping[str, str]
    now: datetime

    def new(self) -> Iterator[Batch]:
        """Listen for a while. Its errors are errors of this stream alone: the searches go on."""
        price = self.options.price_per_post
        most = self.api.affordable(price, FEWEST)
        listener = Listener(most)
        self.api.guard(listener.session, (self.options.timeout, self.options.listen))
        # It ends with the first post after the time is up, and where none comes, when the socket has waited as long.
        hang_up = threading.Timer(self.options.listen, listener.disconnect)
        hang_up.daemon = True

        def listen() -> Page:
            hang_up.start()
            with Deadline(self.options.listen + self.options.timeout):  # also where bytes come, and never a post
                listener.filter(tweet_fields=FIELDS)
            return listener.heard()

        try:
            self._keep_rules(listener)
            page = self.api.paid("streams", most * price, listen, _same, lambda page: page.fetched * price)
        except BudgetSpent:
            raise
        except RateLimited as limit:
            raise SourceUnavailable(f"the filtered stream is left out: {limit}") from limit
        finally:
            hang_up.cancel()
            listener.session.close()
        tell(page, "the filtered stream")
        yield Batch(list(read_mentions(page, self.now)), cursor=self.now.isoformat(), fetched=page.fetched)

    def _keep_rules(self, client: "Listener") -> None:
        """Add the rules that lack, and delete those of ours that are of no search any more."""
        wanted = {query: f"{TAG}{stream}" for stream, query in self.searches.items()}
        rules = self.api.asked("stream rules", client.get_rules, _read_rules)
        ours = {value: number for number, value, tag in rules if tag.startswith(TAG)}
        outdated = [number for value, number in ours.items() if value not in wanted]
        missing = [tweepy.StreamRule(value=value, tag=tag) for value, tag in wanted.items() if value not in ours]
        if outdated:
            self.api.asked("stream rules", lambda: client.delete_rules(outdated), _same)
        if missing:
            answer = self.api.asked("stream rules", lambda: client.add_rules(missing), _same)
            for error in _refused(answer):
                log.warning("X does not take a rule for the filtered stream: %s", self.api.clean(error))


class Listener(tweepy.StreamingClient):  # type: ignore[misc]  # tweepy has no types
    """tweepy's client, made to connect once: it neither sleeps nor tries again."""

    def __init__(self, most: int) -> None:
        super().__init__("set by Transport", return_type=dict, max_retries=0)
        self._most = most
        self._lines: list[Any] = []
        self._error: Exception | None = None
        self._connected = False

    def heard(self) -> Page:
        """Return what came; raise what went wrong where nothing did."""
        if not self._lines and self._error is not None:
            raise self._error
        if not self._connected:
            raise SourceUnavailable("X's filtered stream did not answer; the next run tries again")
        return read_page({"data": self._lines, "meta": {}})

    def on_connect(self) -> None:
        self._connected = True

    def on_data(self, raw_data: bytes) -> None:
        line = json.loads(raw_data)
        if isinstance(line, dict) and "data" in line:
            self._lines.append(line["data"])
        if len(self._lines) >= self._most or not isinstance(line, dict) or "data" not in line:
            self.disconnect()  # without data it is X's word of farewell

    def on_closed(self, response: object) -> None:
        self.disconnect()

    def on_connection_error(self) -> None:
        self.disconnect()

    def on_request_error(self, status_code: int) -> None:
        self.disconnect()

    def on_exception(self, exception: Exception) -> None:
        self._error = exception


def _same(answer: Any) -> Any:
    return answer


def _read_rules(answer: object) -> list[tuple[str, str, str]]:
    """Read id, value and tag of each rule."""
    rules = answer.get("data") or [] if isinstance(answer, dict) else None
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise Unreadable("its answer holds no list of rules")
    return [(str(rule.get("id")), str(rule.get("value")), str(rule.get("tag") or "")) for rule in rules]


def _refused(answer: object) -> list[str]:
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return [str(each.get("title")) for each in errors or () if isinstance(each, dict)] if errors else []
