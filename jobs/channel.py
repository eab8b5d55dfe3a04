"""What the notify job asks of a channel. A plugin need not import it: the shape is enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A notification. `key` is the same for every attempt at the same delivery.

    A channel uses what its service can show: every one the plain text, few the others.
    """

    key: str
    title: str
    body: str  # plain text; what strangers wrote is harmless in it
    urgent: bool = False
    html: str | None = field(default=None, repr=False)  # the same as a document for e-mail
    image: bytes | None = field(default=None, repr=False)  # the chart as PNG
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # more of them by name, for documents
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)  # the same for programs, ready for JSON


class Channel(Protocol):
    """Hands messages to people."""

    def send(self, message: Message) -> None:
        """Send, or raise DeliveryFailed; permanent where trying again cannot help."""
