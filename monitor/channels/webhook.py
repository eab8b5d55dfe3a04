"""Notifications to a web hook: signed JSON, for programs. docs/channels.md has the schema."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from db.errors import DeliveryFailed, InputError
from jobs.channel import Channel, Message
from monitor.channels.answers import Answer, judged
from monitor.channels.guard import is_public, literal, resolve
from monitor.channels.quiet import quiet
from monitor.channels.signature import keys_of, sign
from monitor.plugins import ChannelKind, RegisterChannel, hookimpl

if TYPE_CHECKING:
    import ssl

    import httpx

SCHEMA_VERSION = 1
AGENT = "sentimon/0.1 (self-hosted brand monitor)"
READ = 4000  # bytes of what a receiver says


def _address(url: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://[^\s/?#@\\]+([/?][^\s#]*)?", url.get_secret_value()):
        raise ValueError("give an address that starts with https:// or http://, without a password in it")
    return url


def _secret(secret: SecretStr) -> SecretStr:
    keys_of(secret.get_secret_value())
    return secret


class WebhookOptions(BaseModel):
    """Where to send to, and the secret that the receiver knows too."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[SecretStr, AfterValidator(_address)]
    secret: Annotated[SecretStr, AfterValidator(_secret)]
    allow_private: Annotated[bool, Field(strict=True)] = False
    timeout: Annotated[float, Field(gt=0, le=60)] = 10


class WebhookChannel:
    """Posts to one address, with a signature after Standard Webhooks."""

    def __init__(
        self,
        url: str,
        keys: Sequence[bytes],
        clock: Callable[[], datetime],
        allow_private: bool = False,
        timeout: float = 10,
        resolve: Callable[[str, int], Sequence[str]] = resolve,
    ) -> None:
        import httpx

        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL:
            raise InputError("url: not an address that can be used") from None
        written = literal(self._url.host)
        if written and not allow_private and not is_public(written):
            raise InputError(f"url: {written} is a private address; allow_private = true lets it through")
        self._keys, self._clock, self._resolve = keys, clock, resolve
        self._allow_private, self._timeout = allow_private, timeout

    def send(self, message: Message) -> None:
        """Post the message. Raises DeliveryFailed, permanent for what only a person can mend."""
        now, body = self._clock(), payload(message)
        timestamp = str(int(now.timestamp()))
        signatures = [sign(key, message.key, timestamp, body) for key in self._keys]
        headers = {
            "Host": self._url.netloc.decode("ascii"),
            "User-Agent": AGENT,
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "webhook-id": message.key,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(signatures),
        }
        with quiet():
            answer = asyncio.run(self._post(self._addresses(), headers, body))
        # Receivers like to repeat the address that they were asked for.
        pieces = re.split(r"[/?&=]", self._url.raw_path.decode("ascii")) + signatures
        failure = judged(answer, now, {form for piece in pieces if len(piece) > 3 for form in (piece, unquote(piece))})
        if failure:
            raise failure

    def _addresses(self) -> Sequence[str]:
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        try:
            found = self._resolve(self._url.host, port)
        except (OSError, UnicodeError) as error:
            raise DeliveryFailed("the receiver's name cannot be looked up") from error
        refused = [address for address in found if not (self._allow_private or is_public(address))]
        if refused:
            raise DeliveryFailed(
                f"the receiver is at {refused[0]}, a private address; allow_private = true lets it through",
                permanent=True,
            )
        return found

    async def _post(self, addresses: Sequence[str], headers: dict[str, str], body: bytes) -> Answer:
        """Post to the first address that can be connected to, in no more than the timeout for all of it."""
        import httpx

        heard: list[Answer] = []
        reason = "has no address"
        try:
            async with self._client() as client, asyncio.timeout(self._timeout):
                for address in addresses:
                    try:
                        return await self._exchange(client, address, headers, body, heard)
                    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                        reason = f"could not be reached ({type(error).__name__})"
        except (TimeoutError, httpx.TimeoutException):
            reason = f"did not answer within {self._timeout:g} s"
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            reason = f"did not answer as a web server does ({type(error).__name__})"
        if heard:  # the status is known; what came after it was cut off
            return heard[-1]
        raise DeliveryFailed(f"the receiver {reason}")

    async def _exchange(
        self, client: "httpx.AsyncClient", address: str, headers: dict[str, str], body: bytes, heard: list[Answer]
    ) -> Answer:
        """Post to one address. What is heard before an error is left in `heard`."""
        url = self._url.copy_with(host=address)
        named = {"sni_hostname": self._url.raw_host.decode("ascii")}  # whose certificate it has to be
        async with client.stream("POST", url, headers=headers, content=body, extensions=named) as answer:
            heard.append(Answer(answer.status_code, answer.headers.get("retry-after", "")))
            said = bytearray()
            if not answer.is_success:
                async for part in answer.aiter_raw():
                    said += part
                    if len(said) >= READ:
                        break
            return Answer(answer.status_code, heard[-1].retry_after, said[:READ].decode("utf-8", "replace"))

    def _client(self) -> "httpx.AsyncClient":
        import httpx

        # No proxy and no netrc from the environment: they would lead elsewhere than to the address that was checked.
        return httpx.AsyncClient(
            verify=_certificates(),
            timeout=httpx.Timeout(self._timeout, connect=self._timeout / 2),
            follow_redirects=False,
            trust_env=False,
        )


def payload(message: Message) -> bytes:
    """Write the body of the request, in ASCII."""
    shape = {
        "schema_version": SCHEMA_VERSION,
        "key": message.key,
        "title": message.title,
        "body": message.body,
        "urgent": message.urgent,
        "facts": dict(message.facts),
    }
    return json.dumps(shape, separators=(",", ":"), allow_nan=False).encode("ascii")


@cache
def _certificates() -> "ssl.SSLContext":
    """Reading them takes longer than most requests."""
    import httpx

    return httpx.create_ssl_context()


def build(options: WebhookOptions) -> Channel:
    """Make the channel; nobody is contacted. An attempt's own time is signed, so it asks the clock at each one."""
    from monitor.app import utc_now

    url, secret = options.url.get_secret_value(), options.secret.get_secret_value()
    return WebhookChannel(url, keys_of(secret), utc_now, options.allow_private, options.timeout)


@hookimpl
def register_channels(register: RegisterChannel) -> None:
    """Offer the channel kind "webhook"."""
    register(ChannelKind("webhook", WebhookOptions, build))
