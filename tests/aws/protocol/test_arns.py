import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.aws.protocol.arns import ResourceArn
from hounsfield.aws.protocol.errors import ValidationException

HEAD = "arn:aws:medical-imaging:us-east-1"
IDS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=32, max_size=32)
ARNS = st.builds(
    ResourceArn,
    st.sampled_from(["aws", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-cn"]),
    st.from_regex("[a-z0-9-]+", fullmatch=True),
    st.from_regex("[0-9]{12}", fullmatch=True).filter(str.isascii),
    IDS,
    st.none() | IDS,
)


@given(ARNS)
def test_an_arn_reads_back_as_it_was_written(arn):
    assert ResourceArn.parse(str(arn)) == arn
    assert arn.datastore.image_set_id is None
    assert str(arn).startswith(str(arn.datastore))


@given(ARNS)
def test_arns_fit_the_pattern_of_the_model(service, arn):
    import re

    pattern = service.operations["TagResource"].input.members["resourceArn"].shape.pattern
    assert re.fullmatch(pattern, str(arn))


@pytest.mark.parametrize(
    "text",
    ["", "arn", "arn:aws:s3:::bucket", f"{HEAD}:1:datastore/{'0' * 32}", f"{HEAD}:{'0' * 12}:datastore/{'0' * 31}",
     f"{HEAD}:{'0' * 12}:datastore/{'0' * 32}/", f"{HEAD}:{'0' * 12}:datastore/{'0' * 32}\n",
     f"{HEAD}:{'0' * 12}:datastore/{'0' * 32}/imageSet/{'0' * 32}"],
)  # fmt: skip
def test_other_texts_are_refused(text):
    with pytest.raises(ValidationException, match="must have the form"):
        ResourceArn.parse(text)


def test_parts_that_make_no_arn_are_refused():
    with pytest.raises(ValueError, match="no ARN"):
        ResourceArn("aws", "us-east-1", "0" * 12, "UPPER" + "0" * 27)
