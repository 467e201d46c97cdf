import hashlib
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.aws.protocol.errors import (
    AwsError,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from hounsfield.aws.sigv4 import verifier as sigv4
from hounsfield.aws.sigv4.canonical_request import canonical_queries
from hounsfield.aws.sigv4.signing_keys import SigningKeys, signing_key
from hounsfield.aws.sigv4.verifier import Request, Verifier
from support.clients.signers import (
    KEY_ID,
    NOW,
    SECRET,
    SECRETS,
    Proven,
    changed,
    header,
    hmac_sign,
    later,
    proven,
    read_whole,
    signed,
    with_header,
)
from support.examples import examples

ARN_PATH = "/tags/" + quote("arn:aws:medical-imaging:us-east-1:000000000000:datastore/" + "0" * 32, safe="")
BODY = b'{"imageFrameId": "x"}'


@pytest.fixture
def sign(monkeypatch):
    return lambda *args, **kwargs: signed(monkeypatch, *args, **kwargs)


def verifier(at=NOW, secrets=SECRETS.get, **options):
    return Verifier(
        "us-east-1", "medical-imaging", lambda scope: secrets(scope.access_key_id), clock=lambda: at, **options
    )


@pytest.mark.parametrize(
    "path",
    ["/datastore", "/", ARN_PATH, "/tags/arn:aws:x", "/a%20b/%2F/é~-_.", "/datastore?maxResults=5&nextToken=a%2Bb%2F%3D",
     "/x?b=2&a=1&b=1&c&d=&%C3%A9=%20", "/x?a=~-_.%2A%27", "/x?a-b=1&a=2"],
)  # fmt: skip
@pytest.mark.parametrize("expires", [None, 60])
def test_what_botocore_signs_is_verified(sign, path, expires):
    request = sign("DELETE", quote(path, safe="/?&=%:~-_.'"), expires=expires)
    assert proven(verifier(), request, b"") == Proven(KEY_ID, None, b"")


def test_a_body_without_stated_hash_is_verified_with_the_signature(sign):
    request = sign("POST", "/datastore", BODY)
    assert header(request, b"x-amz-content-sha256") is None
    pending = verifier().authenticate(request)
    assert not pending.signature_verified
    assert read_whole(pending, BODY) == BODY
    for other in [b"", BODY + b" ", BODY[:-1]]:
        with pytest.raises(InvalidSignatureException, match="does not match the signature you provided"):
            read_whole(pending, other)


def test_a_stated_hash_is_verified_before_the_body_comes(sign):
    digest = hashlib.sha256(BODY).hexdigest()
    request = sign("POST", "/datastore", BODY, {"X-Amz-Content-SHA256": digest})
    pending = verifier().authenticate(request)
    assert pending.signature_verified
    assert read_whole(pending, BODY) == BODY
    with pytest.raises(InvalidSignatureException, match="x-amz-content-sha256"):
        read_whole(pending, BODY + b" ")
    with pytest.raises(InvalidSignatureException, match="does not match the signature"):
        verifier().authenticate(with_header(request, b"x-amz-content-sha256", b"0" * 64))


def test_a_body_read_in_pieces_is_proven_at_its_end(sign):
    for headers in [{}, {"X-Amz-Content-SHA256": hashlib.sha256(BODY).hexdigest()}]:
        reader = verifier().authenticate(sign("POST", "/datastore", BODY, headers)).reader()
        assert b"".join(reader.feed(BODY[n : n + 1]) for n in range(len(BODY))) + reader.finish() == BODY
        short = verifier().authenticate(sign("POST", "/datastore", BODY, headers)).reader()
        assert short.feed(BODY[:-1]) == BODY[:-1]
        with pytest.raises(InvalidSignatureException):
            short.finish()


def test_an_unsigned_payload_may_be_anything(sign):
    request = sign("POST", "/datastore", BODY, {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert proven(verifier(), request, b"anything").body == b"anything"


@pytest.mark.parametrize(
    "literal", ["", "unsigned-payload", "A" * 64, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "0" * 63]
)
def test_other_literals_for_the_payload_are_refused(sign, literal):
    with pytest.raises(InvalidSignatureException, match="x-amz-content-sha256 must be"):
        verifier().authenticate(sign("POST", "/datastore", BODY, {"X-Amz-Content-SHA256": literal}))


def test_session_tokens_are_signed_and_handed_on(sign):
    assert proven(verifier(), sign(token="token/+="), b"").session_token == "token/+="
    assert proven(verifier(), sign(token="token/+=", expires=60), b"").session_token == "token/+="
    with pytest.raises(InvalidSignatureException):
        proven(verifier(), with_header(sign(token="token"), b"x-amz-security-token", b"other"), b"")
    with pytest.raises(IncompleteSignatureException, match="x-amz-"):
        proven(verifier(), with_header(sign(), b"x-amz-security-token", b"added"), b"")


def tamperings():
    yield "method", lambda r: changed(r, method="DELETE")
    yield "path", lambda r: changed(r, raw_path=r.raw_path + b"x")
    yield "path decoded", lambda r: changed(r, raw_path=r.raw_path.replace(b"%3A", b":", 1))
    yield "path with dots", lambda r: changed(r, raw_path=b"/x/.." + r.raw_path)
    yield "path with double slash", lambda r: changed(r, raw_path=b"/" + r.raw_path)
    yield "query value", lambda r: changed(r, query_string=r.query_string.replace(b"a=1", b"a=2"))
    yield "query added", lambda r: changed(r, query_string=r.query_string + b"&z=1")
    yield "query dropped", lambda r: changed(r, query_string=r.query_string.replace(b"a=1&", b""))
    yield "query name", lambda r: changed(r, query_string=r.query_string.replace(b"a=1", b"c=1"))
    yield "host", lambda r: with_header(r, b"host", b"other.test")
    yield "host gone", lambda r: with_header(r, b"host", None)
    yield "signed header", lambda r: with_header(r, b"content-type", b"text/plain")
    yield "signed header gone", lambda r: with_header(r, b"content-type", None)
    yield "signed header twice", lambda r: changed(r, headers=[*r.headers, (b"content-type", b"x")])
    yield "x-amz header", lambda r: with_header(r, b"x-amz-meta", b"other")


@pytest.mark.parametrize("expires", [None, 600])
@pytest.mark.parametrize("tamper", [pytest.param(tamper, id=name) for name, tamper in tamperings()])
def test_every_signed_part_is_covered(sign, tamper, expires):
    headers = {"Content-Type": "application/json", "X-Amz-Meta": "one  two"}
    request = sign("GET", f"{ARN_PATH}?a=1&b=2", headers=headers, expires=expires)
    assert proven(verifier(), request, b"").access_key_id == KEY_ID
    assert tamper(request) != request
    with pytest.raises(InvalidSignatureException):
        proven(verifier(), tamper(request), b"")


@pytest.mark.parametrize("expires", [None, 600])
def test_a_path_with_an_empty_label_is_signed_as_sdks_fold_it(sign, expires):
    request = sign("POST", "/datastore//imageSet//getImageSet", expires=expires)
    assert request.raw_path == b"/datastore//imageSet//getImageSet"
    assert proven(verifier(), request, b"").access_key_id == KEY_ID
    with pytest.raises(InvalidSignatureException):
        proven(verifier(), changed(request, raw_path=b"/" + request.raw_path), b"")
    with pytest.raises(InvalidSignatureException):
        proven(verifier(), changed(request, raw_path=request.raw_path.replace(b"//", b"/a/")), b"")


@pytest.mark.parametrize("part", ["Credential", "SignedHeaders", "Signature", "X-Amz-Date"])
@pytest.mark.parametrize("expires", [None, 600])
def test_no_digit_of_the_signature_itself_can_change(sign, part, expires):
    request = sign("GET", "/datastore", expires=expires)
    text = request.query_string if expires else dict(request.headers)[b"authorization"]
    if part == "X-Amz-Date" and not expires:
        for number in range(16):
            date = bytearray(header(request, b"x-amz-date"))
            date[number] = ord("1") if date[number] != ord("1") else ord("2")
            with pytest.raises(AwsError):
                proven(verifier(), with_header(request, b"x-amz-date", bytes(date)), b"")
        return
    start = text.index(part.encode() + b"=") + len(part) + 1
    for place in range(start, min(start + 70, len(text))):
        if text[place] in b"&,;%= ":
            break
        other = text[:place] + (b"0" if text[place] != ord("0") else b"1") + text[place + 1 :]
        forged = changed(request, query_string=other) if expires else with_header(request, b"authorization", other)
        with pytest.raises(AwsError) as caught:
            proven(verifier(), forged, b"")
        assert caught.value.status == 403


@pytest.mark.parametrize("minutes", [-15, -1, 0, 1, 15])
def test_clocks_may_differ_by_a_quarter_of_an_hour(sign, minutes):
    assert proven(verifier(at=later(minutes=minutes)), sign(), b"").access_key_id == KEY_ID


def test_signatures_outside_their_time_are_refused(sign):
    with pytest.raises(InvalidSignatureException) as expired:
        proven(verifier(at=later(minutes=15, seconds=1)), sign(), b"")
    assert expired.value.message == (
        "Signature expired: 20260314T150926Z is now earlier than 20260314T150927Z (20260314T152427Z - 15 min.)"
    )
    with pytest.raises(InvalidSignatureException, match=r"not yet current: 20260314T150926Z is still later than"):
        proven(verifier(at=later(minutes=-15, seconds=-1)), sign(), b"")
    with pytest.raises(InvalidSignatureException, match="Signature expired"):
        proven(verifier(at=later(minutes=2), max_skew=timedelta(minutes=1)), sign(), b"")


def test_presigned_requests_are_good_until_they_expire(sign):
    week = sign(expires=604_800)
    assert proven(verifier(at=later(days=7)), week, b"").access_key_id == KEY_ID
    with pytest.raises(InvalidSignatureException, match="Signature expired"):
        proven(verifier(at=later(days=7, seconds=1)), week, b"")
    assert proven(verifier(at=later(seconds=1)), sign(expires=1), b"").access_key_id == KEY_ID
    with pytest.raises(InvalidSignatureException, match="Signature expired"):
        proven(verifier(at=later(seconds=2)), sign(expires=1), b"")
    with pytest.raises(InvalidSignatureException, match="not yet current"):
        proven(verifier(at=later(hours=-1)), week, b"")


@pytest.mark.parametrize("seconds", [0, -1, 604_801, "1.5", "", "1e3", 10**9])
def test_presigned_requests_expire_within_a_week(sign, seconds):
    with pytest.raises(
        IncompleteSignatureException, match="X-Amz-Expires must be a number of seconds from 1 to 604800"
    ):
        proven(verifier(), sign(expires=seconds), b"")


def test_scopes(sign):
    with pytest.raises(InvalidSignatureException, match="scoped to a valid region, which is 'us-east-1'"):
        proven(verifier(), sign(region="eu-central-1"), b"")
    with pytest.raises(InvalidSignatureException, match="scoped to correct service: 'medical-imaging'"):
        proven(verifier(), sign(service="s3"), b"")
    request = sign()
    other_day = header(request, b"authorization").replace(b"/20260314/", b"/20260313/")
    with pytest.raises(InvalidSignatureException, match="Date in Credential scope does not match"):
        proven(verifier(), with_header(request, b"authorization", other_day), b"")


def test_keys(sign):
    for request in [sign(key_id="AKIANOBODY"), sign(key_id="AKIANOBODY", expires=60)]:
        with pytest.raises(UnrecognizedClientException, match="security token included in the request is invalid"):
            proven(verifier(), request, b"")
    with pytest.raises(InvalidSignatureException) as caught:
        proven(verifier(), sign(secret="wrong"), b"")
    assert SECRET not in caught.value.message
    assert "wrong" not in caught.value.message


def test_a_changed_secret_counts_at_once(sign):
    secrets = {KEY_ID: SECRET}
    checker = verifier(secrets=secrets.get)
    assert proven(checker, sign(), b"").access_key_id == KEY_ID
    secrets[KEY_ID] = "new secret"
    with pytest.raises(InvalidSignatureException):
        proven(checker, sign(), b"")
    assert proven(checker, sign(secret="new secret"), b"").access_key_id == KEY_ID
    del secrets[KEY_ID]
    with pytest.raises(UnrecognizedClientException):
        proven(checker, sign(secret="new secret"), b"")


def test_unsigned_requests(sign):
    bare = Request("GET", b"/datastore", b"", [(b"host", b"imaging.test")])
    with pytest.raises(MissingAuthenticationTokenException):
        proven(verifier(), bare, b"")
    for other in [b"Bearer abc", b"Basic abc", b"", b"AWS4-ECDSA-P256-SHA256 Credential=x"]:
        with pytest.raises(IncompleteSignatureException, match="Authorization header requires"):
            proven(verifier(), with_header(bare, b"authorization", other), b"")
    both = changed(sign(expires=60), headers=sign().headers)
    with pytest.raises(IncompleteSignatureException, match="not both"):
        proven(verifier(), both, b"")


def test_nothing_may_be_given_twice(sign):
    request = sign()
    doubled = header(request, b"authorization") + b", Signature=" + b"0" * 64
    with pytest.raises(IncompleteSignatureException, match="each parameter once"):
        proven(verifier(), with_header(request, b"authorization", doubled), b"")
    with pytest.raises(IncompleteSignatureException, match="x-amz-date must be given once"):
        proven(verifier(), changed(request, headers=[*request.headers, (b"x-amz-date", b"20260314T150926Z")]), b"")
    presigned = sign(expires=60)
    with pytest.raises(IncompleteSignatureException, match="X-Amz-Expires once"):
        proven(verifier(), changed(presigned, query_string=presigned.query_string + b"&X-Amz-Expires=600"), b"")


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        (b"AWS4-HMAC-SHA256&", b"AWS4-ECDSA-P256-SHA256&", "X-Amz-Algorithm must be AWS4-HMAC-SHA256"),
        (b"%2Faws4_request", b"", "'Credential' must have the form"),
        (b"SignedHeaders=host", b"SignedHeaders=Host", "'SignedHeaders' must be"),
        (b"X-Amz-Signature=", b"X-Amz-Signature=0", "'Signature' must be 64"),
        (b"T150926Z", b"T250926Z", "must have its date"),
    ],
)
def test_malformed_parts_are_named(sign, good, bad, told):
    request = sign(expires=60)
    with pytest.raises(IncompleteSignatureException, match=told):
        proven(verifier(), changed(request, query_string=request.query_string.replace(good, bad)), b"")


def resigned(request, signed_headers, add=()):
    """The request signed anew with other signed headers, as botocore would if told to."""
    headers = [*[(k, v) for k, v in request.headers if k != b"authorization"], *add]
    values = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    names = signed_headers.split(";")
    block = "".join(f"{n}:{','.join(v.decode() for v in values.get(n.encode(), []))}\n" for n in names)
    text = (
        f"{request.method}\n{request.raw_path.decode()}\n{request.query_string.decode()}\n{block}\n{signed_headers}\n"
    )
    text += hashlib.sha256(b"").hexdigest()
    to_sign = "AWS4-HMAC-SHA256\n20260314T150926Z\n20260314/us-east-1/medical-imaging/aws4_request\n"
    to_sign += hashlib.sha256(text.encode()).hexdigest()
    credential = f"{KEY_ID}/20260314/us-east-1/medical-imaging/aws4_request"
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={signed_headers},Signature={hmac_sign(to_sign)}"
    )
    return changed(request, headers=[*headers, (b"authorization", authorization.encode())])


def test_which_headers_must_be_signed(sign):
    few = resigned(
        sign(), "accept;host;x-amz-date", [(b"accept", b"application/json"), (b"content-type", b"text/plain")]
    )
    assert proven(verifier(), few, b"").access_key_id == KEY_ID  # as grand-challenge.org signs
    with pytest.raises(IncompleteSignatureException, match="'Host' must be a 'SignedHeader'"):
        proven(verifier(), resigned(sign(), "accept;x-amz-date", [(b"accept", b"*/*")]), b"")
    with pytest.raises(IncompleteSignatureException, match="begins with 'x-amz-' must be"):
        proven(verifier(), resigned(sign(), "host"), b"")
    with pytest.raises(IncompleteSignatureException, match="begins with 'x-amz-' must be"):
        proven(verifier(), with_header(sign(), b"x-amz-decoded-content-length", b"0"), b"")
    # The hash of the body is the last line of what is signed, whether or not its header is signed too.
    with pytest.raises(InvalidSignatureException, match="does not match"):
        proven(verifier(), with_header(sign(), b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"), b"")
    bound = with_header(sign(), b"x-amz-content-sha256", hashlib.sha256(b"").hexdigest().encode())
    assert proven(verifier(), bound, b"").access_key_id == KEY_ID
    with pytest.raises(InvalidSignatureException, match="does not match"):
        proven(verifier(), bound, b"another body")
    with pytest.raises(IncompleteSignatureException, match="each header once"):
        proven(verifier(), resigned(sign(), "host;host;x-amz-date"), b"")
    proxied = changed(sign(), headers=[*sign().headers, (b"x-amzn-trace-id", b"Root=1"), (b"x-amz-cf-id", b"a")])
    assert proven(verifier(), proxied, b"").access_key_id == KEY_ID


def test_the_date_may_be_in_the_date_header(sign):
    request = sign(headers={"Date": "set by botocore"})
    assert header(request, b"date").startswith(b"Sat, 14 Mar 2026 15:09:26 ")
    assert header(request, b"x-amz-date") is None
    assert proven(verifier(), request, b"").access_key_id == KEY_ID
    with pytest.raises(InvalidSignatureException, match="does not match"):
        proven(verifier(), with_header(request, b"date", b"Sat, 14 Mar 2026 15:09:27 GMT"), b"")
    for date in [b"yesterday", b"", b"2026-03-14", b"Thu, 99 Abc 2026 99:99:99 GMT"]:
        with pytest.raises(IncompleteSignatureException, match="X-Amz-Date"):
            proven(verifier(), with_header(request, b"date", date), b"")


def test_the_body_of_a_presigned_request_is_covered(sign):
    request = sign("GET", "/datastore", expires=60)
    with pytest.raises(InvalidSignatureException):
        proven(verifier(), request, b"body")


def test_blanks_in_header_values_are_folded_as_botocore_does(sign):
    request = sign(headers={"X-Amz-Meta": "  a   b\tc  "})
    assert proven(verifier(), with_header(request, b"x-amz-meta", b"a b c"), b"").access_key_id == KEY_ID


def test_canonical_queries():
    assert canonical_queries(b"") == [b""]
    assert canonical_queries(b"a=1&b=2") == [b"a=1&b=2"]
    assert canonical_queries(b"b=2&a=1") == [b"a=1&b=2", b"b=2&a=1"]
    assert canonical_queries(b"b=a,b&a") == [b"a=&b=a%2Cb", b"a=&b=a,b", b"b=a,b&a"]
    assert canonical_queries(b"b=a+b&&X-Amz-Signature=0") == [b"b=a%2Bb", b"b=a+b"]
    assert canonical_queries(b"a-b=1&a=2") == [b"a=2&a-b=1", b"a-b=1&a=2"]


def test_the_documented_signing_key():
    # AWS, "Examples of how to derive a signing key for Signature Version 4"
    key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215/us-east-1/iam/aws4_request")
    assert key.hex() == "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"


def test_kept_signing_keys_are_bounded():
    keys = SigningKeys(2)
    scopes = [f"2026031{n}/us-east-1/medical-imaging/aws4_request" for n in range(5)]
    for scope in scopes * 2:
        assert keys.get("id", "secret", scope) == signing_key("secret", scope)
        assert len(keys._keys) <= 2
    assert not any("secret" in str(place) or b"secret" in place[2] for place in keys._keys)


def test_an_unknown_key_costs_a_signature_too(sign, monkeypatch):
    calls = []
    real = sigv4.sign
    monkeypatch.setattr(sigv4, "sign", lambda *args: calls.append(args) or real(*args))
    for request in [sign(secret="wrong"), sign(key_id="AKIANOBODY")]:
        calls.append("next")
        with pytest.raises(AwsError):
            proven(verifier(), request, b"")
    first, second = " ".join("next" if c == "next" else "sign" for c in calls).split("next")[1:]
    assert first.strip() == second.strip() == "sign"


TEXTS = st.text(st.characters(max_codepoint=255), max_size=60) | st.text(
    "AWS4-HMAC256 Credential=/SignHdr;,Sua0%&", max_size=80
)


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_sent_the_answer_is_an_aws_error(data, sign):
    request = sign("GET", "/datastore", expires=data.draw(st.sampled_from([None, 60])))
    undated = with_header(request, b"x-amz-date", None)
    authorization = header(request, b"authorization") or b""
    garbage = data.draw(TEXTS).encode("latin-1")
    cut = data.draw(st.integers(0, max(len(authorization) - 1, 0)))
    forged = data.draw(
        st.sampled_from(
            [
                with_header(request, b"authorization", garbage),
                with_header(request, b"authorization", b"AWS4-HMAC-SHA256 " + garbage),
                with_header(request, b"authorization", authorization[:cut] + garbage + authorization[cut + 1 :] + b"!"),
                with_header(request, b"x-amz-date", garbage),
                undated if undated != request else with_header(request, b"host", None),
                with_header(undated, b"date", garbage)
                if undated != request
                else with_header(request, b"host", garbage),
                with_header(request, b"x-amz-content-sha256", garbage),
                changed(request, query_string=b"X-Amz-Algorithm=AWS4-HMAC-SHA256&" + garbage),
                changed(request, query_string=request.query_string + b"&X-Amz-Signature=" + garbage),
                changed(
                    request, raw_path=b"/" + garbage, headers=[*request.headers, (garbage, garbage)], method="PATCH"
                ),
            ]
        )
    )
    with pytest.raises(AwsError) as caught:
        proven(verifier(), forged, b"")
    assert caught.value.status == 403


def test_the_request_is_a_value(sign):
    assert replace(sign(), method="GET") == sign()
