"""Access tokens that are not ours, each by one change."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from regulars.kit.settings import Settings

Forge = Callable[[str, Settings], str]
claim_names = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid", "auth_epoch", "role", "scope")


def forged(
    *, claims: Mapping[str, Any] | None = None, header: Mapping[str, Any] | None = None, without: str = "",
    secret: str | None = None, algorithm: str = "HS256",
) -> Forge:  # fmt: skip
    """Our token with some things changed, and signed again."""

    def forge(token: str, settings: Settings) -> str:
        own = jwt.decode(token, options={"verify_signature": False}) | dict(claims or {})
        own.pop(without, None)
        headers = {"typ": "at+jwt", "kid": jwt.get_unverified_header(token)["kid"]} | dict(header or {})
        assert settings.jwt_secret is not None
        return jwt.encode(own, secret or settings.jwt_secret.get_secret_value(), algorithm, headers=headers)

    return forge


def with_header(**changes: str) -> Forge:
    """A header that no library would write, over the claims, signed by HMAC with the right secret."""

    def forge(token: str, settings: Settings) -> str:
        _, payload, _ = token.split(".")
        header = jwt.get_unverified_header(token) | changes
        head = urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
        assert settings.jwt_secret is not None
        key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        signature = key.sign(f"{head}.{payload}".encode(), settings.jwt_secret.get_secret_value().encode())
        return f"{head}.{payload}." + urlsafe_b64encode(signature).rstrip(b"=").decode()

    return forge


def altered(token: str, settings: Settings) -> str:
    """The signature stays, one claim changes."""
    head, payload, signature = token.split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=="))
    changed = urlsafe_b64encode(json.dumps(claims | {"role": "admin"}).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


def unsigned(token: str, settings: Settings) -> str:
    """`alg` none, and nothing after the last dot."""
    header = jwt.get_unverified_header(token) | {"alg": "none"}
    return jwt.encode(jwt.decode(token, options={"verify_signature": False}), None, "none", headers=header)


noon = 1781517600
forgeries: dict[str, Forge] = {
    "garbage": lambda *_: "garbage",
    "empty": lambda *_: "",
    "altered": altered,
    "another secret": forged(secret="0123456789abcdef0123456789abcdef-other"),
    "alg none": unsigned,
    "alg RS256": with_header(alg="RS256"),
    "alg ES256": with_header(alg="ES256"),
    "HS384": forged(algorithm="HS384", secret="0" * 48),
    "HS512": forged(algorithm="HS512", secret="0" * 64),
    "alg HS512 over HS256": with_header(alg="HS512"),
    "typ JWT": forged(header={"typ": "JWT"}),
    "kid of a file": forged(header={"kid": "../../dev/null"}),
    "kid of SQL": forged(header={"kid": "' OR 1=1 --"}),
    **{f"header {name}": forged(header={name: value}) for name, value in
       {"jku": "https://evil.example", "x5u": "https://evil.example", "jwk": {}, "crit": ["x"]}.items()},
    **{f"without {name}": forged(without=name) for name in claim_names},
    "expired": forged(claims={"exp": noon - 6, "iat": noon - 800, "nbf": noon - 800}),
    "not yet": forged(claims={"nbf": noon + 60}),
    "issued in the future": forged(claims={"iat": noon + 60}),
    "lives too long": forged(claims={"exp": noon + 901}),
    "other issuer": forged(claims={"iss": "else"}),
    "other audience": forged(claims={"aud": "else"}),
    "audience in a list": forged(claims={"aud": ["regulars-api", "else"]}),
    "times as text": forged(claims={"exp": str(noon + 60)}),
    "subject is no id": forged(claims={"sub": "me"}),
}  # fmt: skip
