"""A counterfeit provider of OpenID Connect on loopback: code flow with PKCE, and ID tokens signed with a real key."""

import base64
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.loopback import LoopbackHandler, LoopbackServer

CLIENT, SECRET = "sentimon-client", "a-secret-that-no-log-holds"


def new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})


first_key = cache(new_key)  # to make one takes as long as the rest of a test


@dataclass
class FakeProvider:
    """What it says, and of whom; `claims` are added to those of an ID token, None takes one out."""

    now: datetime
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "ann-1", "preferred_username": "ann"})
    claims: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    down: bool = False
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = first_key()
        provider = self

        class Handler(LoopbackHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                provider.asked.append(path)
                if path == "/.well-known/openid-configuration":
                    self.say(provider.about())
                elif path == "/keys":
                    self.say(KeySet([provider.key]).as_dict(private=False))
                else:
                    self.say({}, 404)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
                provider.asked.append("/token")
                self.say(*provider.token(dict(parse_qsl(body)), self.headers.get("Authorization", "")))

            def say(self, given: Mapping[str, Any], status: int = 200) -> None:
                body = json.dumps(given).encode()
                self.send_response(503 if provider.down else status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = LoopbackServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def renew_key(self) -> None:
        self.key = new_key()

    def about(self) -> Mapping[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def log_in(self, address: str) -> str:
        """Do what a person does at the address of login: return where their browser is sent back to."""
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(address).query).items()}
        expected = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
        assert asked | expected == asked
        assert {"openid", "email"} <= set(asked["scope"].split())
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, given: Mapping[str, str], authorization: str) -> tuple[Mapping[str, Any], int]:
        """Change a code for tokens, once, for who has the secret and the verifier."""
        asked = self.codes.pop(given.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(sha256(given.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        right = authorization == "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if not asked or not right or challenge.decode() != asked["code_challenge"]:
            return {"error": "invalid_grant"}, 400
        if given.get("redirect_uri") != asked["redirect_uri"]:
            return {"error": "invalid_grant"}, 400
        return {"access_token": "x", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])}, 200

    def id_token(self, nonce: str) -> str:
        at, until = int(self.now.timestamp()), int((self.now + timedelta(minutes=5)).timestamp())
        claims = {"iss": self.issuer, "aud": CLIENT, "exp": until, "iat": at, "nonce": nonce, **self.person}
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        if self.algorithm == "none":
            parts = ({"alg": "none", "typ": "JWT"}, claims)
            return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + "."
        if self.algorithm == "HS256":  # signed with what everybody knows: the public key
            from joserfc.jwk import OctKey

            public = json.dumps(self.key.as_dict(private=False)).encode()
            header = {"alg": "HS256", "kid": self.key.kid}
            return jwt.encode(header, claims, OctKey.import_key(public))
        return jwt.encode({"alg": self.algorithm, "kid": self.key.kid}, claims, self.key)
