"""Posts that others bring: what a POST in the format of `sentimon import` holds. monitor/web/inbound.py takes it in."""

import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from secrets import compare_digest
from typing import Annotated

from pydantic import AfterValidator, BaseModel, SecretStr

from db.errors import InputError
from db.records import Batch, Mention, Position
from jobs.collector import Collector, Meter
from monitor.collectors.file import Row, read
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

SHORTEST = 16  # characters of a token
FORMATS = {
    "application/json": "json",
    "application/jsonl": "jsonl",
    "application/jsonlines": "jsonl",
    "application/ndjson": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/x-ndjson": "jsonl",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
}


def _token(token: SecretStr) -> SecretStr:
    word = token.get_secret_value().strip()
    if not re.fullmatch(r"[!-~]+", word):
        raise ValueError("give one word of letters, digits and signs, such as `openssl rand -hex 32` writes")
    if len(word) < SHORTEST:
        raise ValueError(f"is too short: {SHORTEST} characters at least, such as `openssl rand -hex 32` writes")
    return SecretStr(word)


class WebhookOptions(BaseModel, extra="forbid", hide_input_in_errors=True):
    """The options of a source of kind "webhook"."""

    token: Annotated[SecretStr, AfterValidator(_token)]


class Webhook:
    """Has no streams: nothing is read. It knows who may bring posts, and how they are written."""

    def __init__(self, options: WebhookOptions) -> None:
        self._token = options.token.get_secret_value().encode()

    def streams(self) -> Sequence[str]:
        return ()

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        raise InputError(f"the source has no stream {stream!r}: posts are brought to it")

    def admits(self, token: str) -> bool:
        """Say whether a token is the configured one, in a time that does not depend on it."""
        return compare_digest(token.encode(), self._token)

    def takes(self, content_type: str) -> bool:
        """Say whether a body of this type can be read."""
        name, _, rest = content_type.partition(";")
        charset = re.search(r"charset\s*=\s*\"?([\w-]+)", rest, re.IGNORECASE)
        return name.strip().lower() in FORMATS and (charset is None or charset[1].lower() in ("utf-8", "utf8"))

    def read(
        self, body: bytes, content_type: str, platform: str, now: datetime
    ) -> Iterator[tuple[int, Mention, str | None] | tuple[int, str]]:
        """Yield (number, post, brand), or (number, why not) for what cannot be taken.

        `platform` is that of posts without a `source`. Raises InputError where the body as a whole cannot be read.
        """
        format = FORMATS[content_type.partition(";")[0].strip().lower()]
        lines: Iterable[bytes] = _objects(body) if format == "json" else io.BytesIO(body)
        for row in read(lines, "csv" if format == "csv" else "jsonl", now, platform):
            yield (row.line, row.mention, row.brand) if isinstance(row, Row) else (row.line, row.reason)


def _objects(body: bytes) -> Iterator[bytes]:
    """A line for each object of a JSON array, or for the one object that is there."""
    try:
        data = json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError("the body is not valid UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise InputError("the body is not valid JSON; for one object a line, send application/x-ndjson") from error
    for each in data if isinstance(data, list) else [data]:
        yield json.dumps(each if isinstance(each, dict) else None).encode()


def build(options: WebhookOptions, brands: Sequence[Brand]) -> Collector:
    return Webhook(options)


def explain(options: WebhookOptions, brands: Sequence[Brand]) -> Sequence[str]:
    return ("posts are brought to /in/NAME of the pages, NAME being that of the source, and matched here",)


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("webhook", WebhookOptions, build, explain, pushed=True))
