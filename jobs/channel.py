"""What the notify job asks of a channel. A plugin need not import it: the shape is enough."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A notification in plain text. `key` is the same for every attempt at the same delivery."""

    key: str
    title: str
    body: str
    urgent: bool = False


class Channel(Protocol):
    """Hands messages to people."""

    def send(self, message: Message) -> None:
        """Send, or raise DeliveryFailed (permanent where trying again cannot help)."""
