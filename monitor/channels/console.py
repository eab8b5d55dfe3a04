"""Notifications on standard output: for trying out, and for cron, which mails what a command prints."""

from pydantic import BaseModel, ConfigDict

from db.errors import DeliveryFailed
from jobs.channel import Channel, Message
from monitor.plugins import ChannelKind, RegisterChannel, hookimpl


class ConsoleOptions(BaseModel):
    """It has none."""

    model_config = ConfigDict(extra="forbid")


class ConsoleChannel:
    """Prints."""

    def send(self, message: Message) -> None:
        """Print title and body."""
        try:
            for line in (message.title, *(f"  {line}" for line in message.body.splitlines())):
                # A post may hold signs that rewrite a terminal.
                print("".join(ch if ch.isprintable() else " " for ch in line), flush=True)
        except (OSError, ValueError) as error:  # closed, full, or of an encoding that lacks a sign
            raise DeliveryFailed(f"standard output does not take it ({type(error).__name__})") from error


def build(options: ConsoleOptions) -> Channel:
    """Make the channel."""
    return ConsoleChannel()


@hookimpl
def register_channels(register: RegisterChannel) -> None:
    """Offer the channel kind "console"."""
    register(ChannelKind("console", ConsoleOptions, build))
