"""Notifications through apprise: one URL for each of its 100 and more services."""

import logging

from pydantic import BaseModel, ConfigDict, SecretStr

from db.errors import DeliveryFailed, InputError
from jobs.channel import Channel, Message
from monitor.plugins import ChannelKind, RegisterChannel, hookimpl


class AppriseOptions(BaseModel):
    """The service's apprise URL, which holds its secrets."""

    model_config = ConfigDict(extra="forbid")

    url: SecretStr


class AppriseChannel:
    """Sends to one apprise URL."""

    def __init__(self, url: str) -> None:
        import apprise

        self._service = apprise.Apprise()
        if not self._service.add(url):
            raise InputError("url: not an apprise URL; see the list of services in the documentation of apprise")

    def send(self, message: Message) -> None:
        """Send as plain text. Apprise says only whether it worked, so every failure may be worth another try."""
        import apprise

        kind = apprise.NotifyType.FAILURE if message.urgent else apprise.NotifyType.WARNING
        with apprise.LogCapture(level=logging.WARNING) as captured:  # type: ignore[no-untyped-call]
            done = self._service.notify(
                title=message.title, body=message.body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
            )
            said = captured.getvalue().strip().splitlines()
        if not done:
            reason = said[-1].split(" - ", 3)[-1] if said else "the service did not take the message"
            raise DeliveryFailed(reason)


def build(options: AppriseOptions) -> Channel:
    """Make the channel; nothing is sent yet."""
    return AppriseChannel(options.url.get_secret_value())


@hookimpl
def register_channels(register: RegisterChannel) -> None:
    """Offer the channel kind "apprise"."""
    register(ChannelKind("apprise", AppriseOptions, build))
