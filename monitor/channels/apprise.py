"""Notifications through apprise: one URL for each of its 100 and more services."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel, ConfigDict, SecretStr

from db.errors import DeliveryFailed, InputError
from jobs.channel import Channel, Message
from monitor.plugins import ChannelKind, RegisterChannel, hookimpl

_HUSHING = threading.Lock()


class AppriseOptions(BaseModel):
    """The service's apprise URL, which holds its secrets."""

    model_config = ConfigDict(extra="forbid")

    url: SecretStr


class AppriseChannel:
    """Sends to one apprise URL."""

    def __init__(self, url: str) -> None:
        import apprise

        self._service = apprise.Apprise()
        with _hushed():
            taken = self._service.add(url)
        if not taken:
            raise InputError("url: not an apprise URL; see the list of services in the documentation of apprise")

    def send(self, message: Message) -> None:
        """Send as plain text. Apprise says only whether it worked, so every failure may be worth another try."""
        import apprise

        kind = apprise.NotifyType.FAILURE if message.urgent else apprise.NotifyType.WARNING
        with _hushed(), apprise.LogCapture(level=logging.WARNING) as captured:  # type: ignore[no-untyped-call]
            done = self._service.notify(
                title=message.title, body=message.body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
            )
            said = captured.getvalue().strip().splitlines()
        if not done:
            reason = said[-1].split(" - ", 3)[-1] if said else "the service did not take the message"
            raise DeliveryFailed(reason)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what is logged on the way to ourselves: whole URLs are, secrets and all."""
    logs = [logging.getLogger(name) for name in ("apprise", "urllib3")]
    with _HUSHING:
        before = [log.propagate for log in logs]
        try:
            for log in logs:
                log.propagate = False
            yield
        finally:
            for log, propagate in zip(logs, before, strict=True):
                log.propagate = propagate


def build(options: AppriseOptions) -> Channel:
    """Make the channel; nothing is sent yet."""
    return AppriseChannel(options.url.get_secret_value())


@hookimpl
def register_channels(register: RegisterChannel) -> None:
    """Offer the channel kind "apprise"."""
    register(ChannelKind("apprise", AppriseOptions, build))
