"""Where messages lead: to the page of an alert, on which it is taken, silenced and judged."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Links:
    """`base` is where the pages are seen from outside ("https://desk.example"), None where nobody has said.

    `sign` makes the token that lets whoever holds the link act on the alert, without a login.
    """

    base: str | None = None
    sign: Callable[[int], str] = str

    def alert(self, alert_id: int) -> str | None:
        """Return the address of the page of an alert."""
        return None if self.base is None else f"{self.base.rstrip('/')}/alerts/{alert_id}?token={self.sign(alert_id)}"


NO_LINKS = Links()
