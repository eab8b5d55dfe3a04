"""Who may log in, for commands and pages alike: names, passwords, roles, and what must not happen to the last admin."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from db.desk import ROLES, SCOPE_ROLES, SCOPES, Token, User
from db.errors import InputError
from db.store import Store
from db.tokens import hashed
from monitor.sections import WebConfig

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 1000  # characters of a password
LONGEST_NAME = 60
PREFIX = "sm_"  # of tokens, so that scanners find those that were published by mistake
INVITED = timedelta(days=3)  # how long the link to a first password is good
KEY = "invitations"  # in the table keys


@cache
def hasher() -> "PasswordHasher":
    """Return what makes and checks hashes: argon2id with the library's parameters."""
    from argon2 import PasswordHasher

    return PasswordHasher()


def check_name(name: str) -> str:
    """Return a name as it is kept; InputError where it is none."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"a name has 1 to {LONGEST_NAME} characters, none of them a control character")
    if name.casefold() == "local":
        raise InputError("the name local is taken: it stands for whoever sits at the machine before there are users")
    return name


def check_password(password: str, name: str) -> None:
    """Raise InputError for a password that is too easily guessed."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(f"a password has {SHORTEST} to {LONGEST} characters; a sentence is easily remembered")
    if name.casefold() in password.casefold() and len(password) - len(name) < SHORTEST:
        raise InputError("the password is little more than the name; take another")
    if len(set(password.casefold())) < 5:
        raise InputError("the password repeats few characters; take another")


def verified(store: Store, user: User | None, password: str) -> bool:
    """Whether this is somebody's password. It takes the same work where there is nobody, or nobody with a password.

    A hash of older parameters is made anew.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    kept = store.users.password(user.id) if user else None
    try:
        hasher().verify(kept or _nobodys(), password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    if user is None or kept is None:
        return False
    if hasher().check_needs_rehash(kept):
        with store.transaction():
            store.users.set_password(user.id, hasher().hash(password))
    return True


@cache
def _nobodys() -> str:
    return hasher().hash(secrets.token_urlsafe(32))


def add(store: Store, name: str, role: str, brands: Sequence[str] | None, password: str | None, now: datetime) -> User:
    """Add a user; without a password they get a link (`invitation`). Runs in the caller's transaction."""
    name = check_name(name)
    if password is not None:
        check_password(password, name)
    if role != "admin" and not store.users.any():
        raise InputError("the first user must have the role admin: from then on everybody has to log in")
    made = User(0, name, check_role(role), _brands(role, brands))
    return store.users.add(made, None if password is None else hasher().hash(password), now)


def set_password(store: Store, user: User, password: str, keep: str = "") -> None:
    """Change a password, which ends all sessions but the one named; runs in the caller's transaction."""
    check_password(password, user.name)
    store.users.set_password(user.id, hasher().hash(password))
    store.sessions.end_all(user.id, keep)


def change(store: Store, user: User, role: str, brands: Sequence[str] | None) -> User:
    """Give somebody another role and other brands; runs in the caller's transaction."""
    changed = replace(user, role=check_role(role), brands=_brands(role, brands))
    _keep_an_admin(store, user, changed)
    store.users.save(changed)
    return changed


def disable(store: Store, user: User, now: datetime) -> User:
    """Let somebody in no more, from now on; runs in the caller's transaction."""
    changed = replace(user, disabled_at=user.disabled_at or now)
    _keep_an_admin(store, user, changed)
    store.users.save(changed)
    store.sessions.end_all(user.id)
    return changed


def enable(store: Store, user: User) -> User:
    """Let somebody in again; runs in the caller's transaction."""
    changed = replace(user, disabled_at=None)
    store.users.save(changed)
    return changed


def known(store: Store, name: str) -> User:
    """Return the user of this name; InputError where there is none."""
    user = store.users.named(" ".join(name.split()))
    if user is None:
        there = ", ".join(each.name for each in store.users.every()) or "none yet"
        raise InputError(f"no user {name!r}; there are: {there}")
    return user


def check_role(role: str) -> str:
    """Return a role; InputError where it is none."""
    if role not in ROLES:
        raise InputError(f"there is no role {role!r}; there are: {', '.join(ROLES)}")
    return role


def new_token(
    store: Store, user: User, name: str, scopes: Sequence[str], days: int | None, now: datetime
) -> tuple[Token, str]:
    """Make a key to the programming interface; return it, which is shown once and not kept. In a transaction."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"a token's name has 1 to {LONGEST_NAME} characters, none of them a control character")
    chosen = tuple(scope for scope in SCOPES if scope in scopes)
    if not chosen or len(chosen) != len(set(scopes)):
        raise InputError(f"a token has one or more of the scopes {', '.join(SCOPES)}")
    for scope in chosen:
        role = SCOPE_ROLES[scope]
        if ROLES.index(user.role) < ROLES.index(role):
            raise InputError(f"the scope {scope} takes the role {role}; {user.name} has the role {user.role}")
    key = PREFIX + secrets.token_urlsafe(32)
    made = Token(0, user.id, name, chosen, now, now + timedelta(days=days) if days else None)
    return store.tokens.add(made, hashed(key)), key


def invitation(store: Store, user: User, now: datetime) -> str:
    """Make the token of a link with which somebody sets a password, once; runs in the caller's transaction."""
    until = int((now + INVITED).timestamp())
    token: str = _signer(store.keys.of(KEY)).dumps([user.id, until, _mark(store, user)])
    return token


def invited(store: Store, token: str, now: datetime) -> User | None:
    """Return who may set a password with this link; None where it is not good, or not any more."""
    from itsdangerous import BadData

    key = store.keys.made(KEY)
    if key is None or len(token) > 300:
        return None
    try:
        user_id, until, mark = _signer(key).loads(token)
        user = store.users.get(user_id)
    except (BadData, ValueError, TypeError):
        return None
    good = user is not None and not user.disabled_at and now.timestamp() < until and mark == _mark(store, user)
    return user if good else None


def _mark(store: Store, user: User) -> str:
    """Name the password that somebody has now: once it is another, a link that was made before is good no more."""
    return hashed(store.users.password(user.id) or "none")[:16]


def _signer(key: bytes) -> Any:
    from itsdangerous import URLSafeSerializer

    return URLSafeSerializer(key, salt="invitation")


def check_door(web: WebConfig, any_user: bool) -> str | None:
    """Raise InputError where pages would be served to the world without users; return a warning, or None."""
    if web.oidc and web.oidc.client_secret is None:
        raise InputError("[web.oidc] client_secret is not set: set what it names, or remove the section")
    if any_user:
        return None
    if not is_loopback(web.host):
        raise InputError(
            f"[web] host = {web.host!r} serves the pages to others, and nobody can log in: "
            "`sentimon users add NAME --role admin` first"
        )
    if web.url:
        return "nobody can log in, so from outside the pages only say so; `sentimon users add NAME --role admin`"
    return None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _brands(role: str, brands: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the brands that somebody is to see, None for all; InputError where the role makes nonsense of them."""
    if role == "admin" and brands is not None:
        raise InputError("an admin sees all brands, since they could give themselves any; or take another role")
    return None if brands is None else tuple(brands)


def _keep_an_admin(store: Store, user: User, changed: User) -> None:
    if user.may("admin") and not changed.may("admin"):
        others = [each for each in store.users.every() if each.id != user.id and each.may("admin")]
        if not others:
            raise InputError(f"{user.name} is the last admin: make somebody else one first")
