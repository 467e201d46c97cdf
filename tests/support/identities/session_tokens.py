"""Sessions as hypothesis makes them up, and one of a known kind with its token."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from hounsfield.iam.sessions.session_tokens import SessionContent, TokenSealer

KEY_ID: Final = "ASIA234567ABCDEFGHIJ"
SEALER: Final = TokenSealer(b"\x01" * 32)
STRANGER: Final = TokenSealer(b"\x02" * 32)
"""What another installation seals with."""
CONTENT: Final = SessionContent(
    "secret", "AROA1", "arn:aws:iam::000000000000:role/reader", "night", 1_000, 4_600, tags={"a": "b"}
)
TOKEN: Final = SEALER.seal(KEY_ID, CONTENT)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
contents = st.builds(
    SessionContent,
    secret=texts,
    role_id=texts,
    role_arn=texts,
    name=texts,
    issued_at=st.integers(0, 2**40),
    expires_at=st.integers(0, 2**40),
    policies=st.lists(texts, max_size=2).map(tuple),
    policy_arns=st.lists(texts, max_size=3).map(tuple),
    tags=st.dictionaries(texts, texts, max_size=4),
    transitive=st.lists(texts, max_size=2).map(tuple),
    provider=texts,
    source_identity=texts,
)
