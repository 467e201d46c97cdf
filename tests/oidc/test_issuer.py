"""Tokens of an issuer whose keys come from a real HTTP server."""

from __future__ import annotations

import hmac
import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from hounsfield.oidc.errors import ExpiredTokenError, ForeignAudienceError, InvalidTokenError, IssuerUnavailableError
from hounsfield.oidc.fetch import Fetcher
from hounsfield.oidc.issuer import Issuer, open_issuer
from hounsfield.oidc.jwks import KeySource
from hounsfield.settings.issuers import IssuerConfiguration
from hounsfield.settings.jwks_lifetime import JwksLifetime
from hounsfield.settings.jws_algorithms import ALGORITHMS
from support.services.token_issuer import AUDIENCE, TokenIssuer, key_for


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def source() -> Iterator[TokenIssuer]:
    issuer = TokenIssuer()
    yield issuer
    issuer.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(source: TokenIssuer, clock: Clock) -> Issuer:
    keys = KeySource(source.url, "", Fetcher(60, 100_000), JwksLifetime(300, 3600, 10), clock)
    return Issuer(source.url, ("other", AUDIENCE), ALGORITHMS, keys, 5)


def reason(issuer: Issuer, token: str, error: type[Exception] = InvalidTokenError) -> str:
    with pytest.raises(InvalidTokenError if error is InvalidTokenError else error) as refusal:
        issuer.validate(token)
    assert type(refusal.value) is error
    return str(getattr(refusal.value, "reason", ""))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_of_every_allowed_algorithm_are_taken(algorithm: str, source: TokenIssuer, issuer: Issuer) -> None:
    source.publish(key_for(algorithm))
    identity = issuer.validate(source.token(groups=["readers"]))
    assert (identity.issuer, identity.subject, identity.audience) == (source.url, "jane", AUDIENCE)
    assert identity.claims.texts(["groups"]) == ("readers",)
    assert "readers" not in repr(identity)


def test_keys_are_fetched_once(source: TokenIssuer, issuer: Issuer) -> None:
    for _ in range(3):
        issuer.validate(source.token())
    assert [path.rpartition("/")[2] for path in source.asked] == ["openid-configuration", "keys"]


def test_many_threads_fetch_keys_once(source: TokenIssuer, issuer: Issuer) -> None:
    token, subjects = source.token(), []
    threads = [threading.Thread(target=lambda: subjects.append(issuer.validate(token).subject)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (subjects, len(source.asked)) == (["jane"] * 8, 2)


def test_what_is_wrong_with_a_token_is_found(source: TokenIssuer, issuer: Issuer) -> None:
    assert reason(issuer, source.token(iss="https://other.example.org")) == "iss is another issuer"
    assert reason(issuer, source.token(iss=f"{source.url}/")) == "iss is another issuer"
    assert "audience" in reason(issuer, source.token(aud="elsewhere"), ForeignAudienceError)
    assert "audience" in reason(issuer, source.token(aud=None), ForeignAudienceError)
    assert "sub" in reason(issuer, source.token(sub=None))
    assert "exp" in reason(issuer, source.token(exp=None))
    assert "iat" in reason(issuer, source.token(iat=None))
    assert "exp" in reason(issuer, source.token(exp=1000), ExpiredTokenError)


def test_only_the_holder_of_the_private_key_makes_tokens(source: TokenIssuer, issuer: Issuer) -> None:
    good = source.token()
    head, payload, signature = good.split(".")
    other = source.token(sub="joan").split(".")[1]
    assert "signature" in reason(issuer, f"{head}.{other}.{signature}")
    assert "signature" in reason(issuer, source.token(ECKey.generate_key("P-256", {"kid": "key-1", "alg": "ES256"})))
    assert "signature" in reason(issuer, f"{head}.{payload}.{'A' * len(signature)}")
    assert "signature" in reason(issuer, f"{head}.{payload}.")


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+JWT"])
def test_access_and_id_tokens_are_taken(source: TokenIssuer, issuer: Issuer, kind: str) -> None:
    assert issuer.validate(source.token(header={"typ": kind})).subject == "jane"


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", "JWT "])
def test_other_tokens_of_the_issuer_are_not(source: TokenIssuer, issuer: Issuer, kind: str) -> None:
    assert "another kind" in reason(issuer, source.token(header={"typ": kind}))


def test_tokens_that_are_bound_to_a_key_are_not_bearer_tokens(source: TokenIssuer, issuer: Issuer) -> None:
    assert "bound to a key" in reason(issuer, source.token(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}))


def signed_with(secret: bytes, claims: dict[str, object]) -> str:
    """Sign with HMAC by hand, as joserfc refuses to take public keys for secrets."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "rsa"}, claims)]
    text = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return b".".join([text, urlsafe_b64encode(hmac.digest(secret, text, "sha256")).rstrip(b"=")]).decode()


def test_the_algorithm_is_not_the_token_s_to_choose(source: TokenIssuer, issuer: Issuer) -> None:
    rsa = key_for("RS256", "rsa")
    source.publish(rsa, key_for("ES256", "ec"))
    assert isinstance(rsa, RSAKey)
    # HS256 with the public key as the secret, in each form that an attacker can know.
    for secret in (rsa.as_pem(private=False), rsa.as_der(private=False), str(rsa.as_dict(private=False)["n"]).encode()):
        assert "algorithm" in reason(issuer, signed_with(secret, source.claims()))
    unsigned = jwt.encode({"alg": "none", "kid": "rsa"}, source.claims(), rsa, algorithms=["none"])
    assert "algorithm" in reason(issuer, unsigned)
    # A key that is published for one algorithm does not check another, nor one of another kind of key.
    loose = RSAKey.import_key({**rsa.as_dict(private=True), "alg": "PS256"})
    assert "signature" in reason(issuer, source.token(loose))
    assert "signature" in reason(issuer, source.token(key_for("ES256", "rsa")))


def test_keys_that_must_not_check_signatures_are_left_out(source: TokenIssuer, issuer: Issuer) -> None:
    secret = OctKey.import_key("a secret that is published by mistake", {"kid": "oct"})
    weak = RSAKey.generate_key(1024, {"kid": "weak", "alg": "RS256"})
    closed = RSAKey.generate_key(2048, {"kid": "closed", "use": "enc"})
    good = key_for("ES256", "good")
    source.documents["/keys"] = {
        "keys": [
            *KeySet([secret]).as_dict(private=True)["keys"],
            *KeySet([weak, closed]).as_dict()["keys"],
            {"kty": "PQ", "kid": "unknown"},
            {"kty": "RSA", "kid": "half"},
            "no key",
            good.as_dict(private=False),
        ]
    }
    assert issuer.validate(source.token(good)).subject == "jane"
    assert "no key with the kid" in reason(issuer, source.token(weak))
    assert "no key with the kid" in reason(
        issuer, source.token(RSAKey.import_key({**closed.as_dict(private=True), "use": "sig", "alg": "RS256"}))
    )


def test_a_token_without_key_id_needs_a_single_key(source: TokenIssuer, issuer: Issuer, clock: Clock) -> None:
    key = ECKey.generate_key("P-256", {"alg": "ES256"})
    token = jwt.encode({"alg": "ES256"}, source.claims(), key, algorithms=["ES256"])
    source.publish(key)
    assert issuer.validate(token).subject == "jane"
    clock.now += 301
    source.publish(key, key_for("ES256"))
    assert "kid" in reason(issuer, token)


def test_new_keys_are_fetched_for_an_unknown_key_id_every_so_often(
    source: TokenIssuer, issuer: Issuer, clock: Clock
) -> None:
    old, new = source.keys[0], key_for("ES256", "key-2")
    issuer.validate(source.token())
    source.publish(new)
    asked = len(source.asked)
    assert "no key with the kid" in reason(issuer, source.token(new))
    assert len(source.asked) == asked, "keys were fetched a moment ago"
    clock.now += 10
    assert issuer.validate(source.token(new)).subject == "jane"
    assert "no key with the kid" in reason(issuer, source.token(old)), "a key that was withdrawn counts no more"
    for number in range(20):
        reason(issuer, source.token(key_for("ES256", f"made-up-{number}")))
    assert len(source.asked) == asked + 2


def test_old_keys_are_fetched_anew_and_go_on_while_the_issuer_is_down(
    source: TokenIssuer, issuer: Issuer, clock: Clock
) -> None:
    issuer.validate(source.token())
    source.down = True
    clock.now += 301
    assert issuer.validate(source.token()).subject == "jane"
    assert "newer ones cannot be fetched" in reason(
        issuer, source.token(key_for("ES256", "key-2")), IssuerUnavailableError
    )
    clock.now += 3300
    assert "no keys" in reason(issuer, source.token(), IssuerUnavailableError)
    source.down = False
    clock.now += 10
    assert issuer.validate(source.token()).subject == "jane"


def test_a_withdrawn_key_is_forgotten_when_keys_are_fetched_anew(
    source: TokenIssuer, issuer: Issuer, clock: Clock
) -> None:
    token = source.token()
    issuer.validate(token)
    source.publish(key_for("ES256", "key-2"))
    clock.now += 301
    assert "no key with the kid" in reason(issuer, token)


def test_an_issuer_that_is_down_from_the_beginning_is_not_asked_all_the_time(
    source: TokenIssuer, issuer: Issuer
) -> None:
    source.down = True
    for _ in range(5):
        reason(issuer, source.token(), IssuerUnavailableError)
    assert len(source.asked) == 1


def test_tokens_that_cannot_be_genuine_do_not_make_us_ask(source: TokenIssuer, issuer: Issuer) -> None:
    reason(issuer, source.token(iss="https://other.example.org"))
    reason(issuer, source.token(exp=1000), ExpiredTokenError)
    reason(issuer, jwt.encode({"alg": "HS256"}, source.claims(), OctKey.import_key("a" * 32), algorithms=["HS256"]))
    assert source.asked == []


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example.org", "jwks_uri": "http://127.0.0.1/keys"},
        {"jwks_uri": "http://127.0.0.1/keys"},
        {"issuer": "<url>"},
        {"issuer": "<url>", "jwks_uri": "http://keys.example.org/"},
        {"issuer": "<url>", "jwks_uri": "file:///etc/passwd"},
        [],
    ],
)
def test_a_discovery_document_must_be_the_issuer_s_own(source: TokenIssuer, issuer: Issuer, document: object) -> None:
    if isinstance(document, dict) and document.get("issuer") == "<url>":
        document = {**document, "issuer": source.url}
    source.documents["/realms/main/.well-known/openid-configuration"] = document
    reason(issuer, source.token(), IssuerUnavailableError)


@pytest.mark.parametrize("keys", [{}, [], {"keys": {}}, {"keys": []}, {"keys": [{}] * 101}, {"keys": "a" * 200_000}])
def test_a_key_set_must_be_one(source: TokenIssuer, issuer: Issuer, keys: object) -> None:
    source.documents["/keys"] = keys
    reason(issuer, source.token(), IssuerUnavailableError)


def test_an_issuer_is_made_of_its_configuration(source: TokenIssuer) -> None:
    del source.documents["/realms/main/.well-known/openid-configuration"]
    configuration = IssuerConfiguration(source.url, (AUDIENCE,), f"{source.server.url}/keys", ("ES256",), (), 5)
    assert open_issuer(configuration).validate(source.token()).subject == "jane"
