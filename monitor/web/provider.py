"""What is asked of a provider of OpenID Connect, and how its answers are checked."""

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from monitor.sections import OidcConfig

PATIENCE = 10.0  # seconds
LEEWAY = 60  # seconds that two clocks may differ
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Unusable(Exception):
    """An answer that says nobody is logged in, or none. It holds no secret, code or token."""

    def __init__(self, why: str, unreachable: bool = False) -> None:
        super().__init__(why)
        self.unreachable = unreachable


class Provider:
    """Speaks with the configured issuer; what it says of itself is read once, its keys when a new one appears."""

    def __init__(self, settings: OidcConfig) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._about: Mapping[str, Any] | None = None
        self._keys: Any = None

    def login_address(self, back: str, state: str, nonce: str, verifier: str) -> str:
        """Write the address at which somebody logs in."""
        about = self._described()
        with self._client(back) as client:
            address, _ = client.create_authorization_url(
                about["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        return str(address)

    def claims(self, code: str, back: str, verifier: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        """Change a code for an ID token, and return what it says of the person. Raises Unusable."""
        import requests
        from authlib.common.errors import AuthlibBaseError

        about = self._described()
        try:
            with self._client(back) as client:
                answer = client.fetch_token(
                    about["token_endpoint"], code=code, code_verifier=verifier, timeout=PATIENCE
                )
        except (requests.RequestException, ValueError) as error:
            raise Unusable(f"no token: {type(error).__name__}", unreachable=True) from None
        except AuthlibBaseError as error:
            raise Unusable(f"no token: {str(error.error)[:60]}") from None
        return self.checked(str(answer.get("id_token", "")), nonce, now)

    def checked(self, id_token: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        """Check an ID token (OpenID Connect Core 1.0, 3.1.3.7): signature, issuer, audience, expiry, nonce."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        try:
            try:
                token = jwt.decode(id_token, self._keys_of_issuer(), algorithms=ALGORITHMS)
            except (InvalidKeyIdError, ValueError):  # a key that is newer than those we know
                token = jwt.decode(id_token, self._keys_of_issuer(anew=True), algorithms=ALGORITHMS)
            rules = jwt.JWTClaimsRegistry(
                now=int(now.timestamp()),
                leeway=LEEWAY,
                iss={"essential": True, "value": self._settings.issuer},
                aud={"essential": True, "value": self._settings.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            rules.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise Unusable(f"the ID token is not good: {type(error).__name__}") from None
        several = isinstance(token.claims["aud"], list) and len(token.claims["aud"]) > 1
        party = token.claims.get("azp", None if several else self._settings.client_id)
        if party != self._settings.client_id:
            raise Unusable("the ID token is not good: it was made for another client")
        return token.claims

    def _client(self, back: str) -> Any:
        from authlib.integrations.requests_client import OAuth2Session

        return OAuth2Session(
            self._settings.client_id,
            self._settings.client_secret,
            scope="openid email profile",
            redirect_uri=back,
            code_challenge_method="S256",
        )

    def _described(self) -> Mapping[str, Any]:
        with self._lock:
            if self._about is None:
                about = _read(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
                if about.get("issuer") != self._settings.issuer or not all(map(about.get, NEEDED)):
                    raise Unusable("what the provider says of itself does not fit [web.oidc] issuer")
                self._about = about
            return self._about

    def _keys_of_issuer(self, anew: bool = False) -> Any:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        about = self._described()
        with self._lock:
            if self._keys is None or anew:
                found: Any = _read(about["jwks_uri"])
                try:
                    self._keys = KeySet.import_key_set(found)
                except (JoseError, KeyError, TypeError, ValueError) as error:
                    raise Unusable(f"its keys cannot be used: {type(error).__name__}") from None
            return self._keys


def _read(address: str) -> Mapping[str, Any]:
    import httpx

    try:
        answer = httpx.get(address, timeout=PATIENCE)
        answer.raise_for_status()
        found = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unusable(f"{address} cannot be read: {type(error).__name__}", unreachable=True) from None
    if not isinstance(found, dict):
        raise Unusable(f"{address} holds no object", unreachable=True)
    return found
