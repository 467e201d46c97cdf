from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.pagination import PageTokens, page_context

TOKENS = PageTokens(b"a secret of this test, long enough")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.text(st.characters(exclude_categories=["Cs"])))
def test_a_token_opens_to_what_was_sealed(values, context):
    token = TOKENS.seal(values, context)
    assert TOKENS.open(token, context) == values
    assert token.replace("-", "").replace("_", "").isalnum()
    assert token.isascii()


@given(VALUES, st.data())
def test_a_changed_token_is_refused(values, data):
    token = TOKENS.seal(values, "here")
    # The last character may hold bits that stand for nothing.
    place = data.draw(st.integers(0, len(token) - 2))
    # A token is another each time, and what is drawn must not depend on it.
    drawn = data.draw(st.permutations("ABCabc019-_+/=. \n"))
    other = next(character for character in drawn if character != token[place])
    for changed in [token[:place] + other + token[place + 1 :], token[:place], token + other]:
        with pytest.raises(ValidationException, match="nextToken"):
            TOKENS.open(changed, "here")


def test_a_token_of_another_context_or_installation_is_refused():
    token = TOKENS.seal([1], "here")
    with pytest.raises(ValidationException):
        TOKENS.open(token, "there")
    with pytest.raises(ValidationException):
        PageTokens(b"another secret, long enough too").open(token, "here")


@given(st.text(max_size=50) | st.text("ABCDabcd0123-_", max_size=60))
def test_other_texts_are_refused(text):
    with pytest.raises(ValidationException, match="at 'nextToken' failed to satisfy constraint"):
        TOKENS.open(text, "here")


def test_the_context_is_operation_and_parameters_without_page_size_and_token():
    parameters = {"datastoreId": "0" * 32, "createdAt": datetime(2024, 1, 1, tzinfo=UTC), "blob": b"\xff"}
    context = page_context("ListX", parameters)
    assert page_context("ListX", {**dict(reversed(parameters.items())), "maxResults": 3, "nextToken": "t"}) == context
    assert page_context("ListY", parameters) != context
    assert page_context("ListX", {**parameters, "datastoreId": "1" * 32}) != context


def test_limits():
    with pytest.raises(TypeError, match="not JSON serializable: set"):
        page_context("ListX", {"strange": {1}})
    with pytest.raises(ValueError, match="16 bytes"):
        PageTokens(b"short")
    with pytest.raises(ValueError, match="too large"):
        TOKENS.seal("x" * 9000, "here")
