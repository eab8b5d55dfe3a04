"""Errors that a person can act on. Each is shown as one line; anything else is a bug and keeps its traceback.

SentimonError
  InputError            what was given (a file, an option, a query) cannot be used
    ConfigError         sentimon.toml
  DatabaseError         the database cannot be used
  CollectorError        a source could not be read
    RateLimited         wait until `not_before`: not a failure
    NotAuthorised       the platform refuses the credentials: a person must act, the source pauses
      StreamRefused     it refuses one stream: a person must act, the source goes on with the others
    BudgetSpent         the monthly budget is used up: the source waits for the next month
    SourceUnavailable   tried in vain; the next run tries again
  DeliveryFailed        a notification could not be handed over
  ReplyRefused          a reply was certainly not sent, and will not be unless somebody acts
  Stale                 somebody has changed the case, or the rule, meanwhile, or holds it
  NotAllowed            the role of who asks does not suffice
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.desk import Case


class SentimonError(Exception):
    """Base of all errors that end in one line."""

    exit_code = 1


class InputError(SentimonError):
    """What was given cannot be used."""


class ConfigError(InputError):
    """The configuration cannot be used."""

    exit_code = 2


class DatabaseError(SentimonError):
    """The database cannot be used."""


class CollectorError(SentimonError):
    """A source could not be read."""


class RateLimited(CollectorError):
    """The platform asks to wait."""

    def __init__(self, message: str, not_before: datetime) -> None:
        super().__init__(message)
        self.not_before = not_before


class NotAuthorised(CollectorError):
    """The platform refuses the credentials, or the account may not do this."""


class StreamRefused(NotAuthorised):
    """One stream is refused, or is not there; that says nothing of the others."""


class BudgetSpent(RateLimited):
    """The next request could cost more than is left of the month's budget."""


class SourceUnavailable(CollectorError):
    """The platform did not answer, or not in a form that can be read."""


class DeliveryFailed(SentimonError):
    """A channel did not take a notification.

    `permanent` says that trying again cannot help: the channel is not used until somebody mends it. `wait` is how long
    the service asks to be left alone.
    """

    def __init__(self, message: str, permanent: bool = False, wait: timedelta | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.wait = wait


class ReplyRefused(SentimonError):
    """A reply was certainly not sent, and will not be unless somebody acts: edits it, or mends the settings."""


class Stale(SentimonError):
    """Somebody has changed a case meanwhile, or holds it: `current` is the case as it is, None where it is gone.

    A rule or a saved reply can have been changed meanwhile too; then `current` is None.
    """

    def __init__(self, message: str, current: "Case | None") -> None:
        super().__init__(message)
        self.current = current


class NotAllowed(SentimonError):
    """Whoever asks may not do this: their role does not suffice, or the brand is not theirs."""
