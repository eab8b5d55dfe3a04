"""What pages say to the second of two people at one thing, a rule or a saved reply."""

from collections.abc import Callable
from typing import TypeVar

from monitor.web.forms import Refused

Found = TypeVar("Found")


def changed(what: str) -> str:
    """Say it to who saves what was changed since their page showed it."""
    return (
        f"Somebody has changed this {what} meanwhile. Nothing of yours was saved yet, and nothing is lost: what is "
        "there now stands above what you typed. Save it again to put yours in its place."
    )


def gone(what: str) -> str:
    """Say it to who saves what was removed since, or given to others."""
    return (
        f"This {what} is not there any more, or not yours to change. Nothing of yours was saved yet, and nothing is "
        f"lost: save it again to make it a new {what}."
    )


def other(what: str) -> str:
    """Say it to who pressed a button of something that says something else by now."""
    return (
        f"Somebody has changed this {what} meanwhile, and nothing was done. Look at it as it is now, and press again."
    )


def there(find: Callable[[], Found]) -> Found | None:
    """Return what a form is about, None where it is new, or gone, or not theirs to change any more."""
    try:
        return find()
    except Refused:
        return None
