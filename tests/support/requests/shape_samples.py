"""Values for shapes of botocore's own model, and requests made of them by botocore's own serialiser.

It reads botocore's model directly, not through the package under test.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import urlsplit

import botocore.session
import regex
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.serialize import create_serializer
from hypothesis import strategies as st

MODEL = botocore.session.get_session().get_service_model("medical-imaging")
OPERATIONS = sorted(MODEL.operation_names)

PLAIN_SAMPLES = {
    "string": "text",
    "integer": 7,
    "boolean": True,
    "blob": b"blob",
    "timestamp": datetime(2024, 2, 29, 12, 0, 1, tzinfo=UTC),
}
SAMPLES = {
    "Arn": f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{'0a' * 16}/imageset/{'9z' * 16}",
    "AwsAccountId": "012345678901",
    "DICOMSeriesInstanceUID": "1.2.840.3",
    "DICOMStudyInstanceUID": "1.2.840.2",
    "DatastoreId": "0a" * 16,
    "ImageFrameId": "1b" * 16,
    "ImageSetExternalVersionId": "12",
    "ImageSetId": "9z" * 16,
    "KmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/01234567-89ab-cdef-0123-456789abcdef",
    "LambdaArn": "arn:aws:lambda:us-east-1:000000000000:function:authorise:$LATEST",
    "RoleArn": "arn:aws:iam::000000000000:role/service/import",
    "S3Uri": "s3://bucket.name/a folder/",
}


def values_of(shape, *, in_query=False, fractions=False):
    """A strategy for valid values of a shape as boto3 takes them."""
    if shape.type_name == "structure":
        members = {
            name: values_of(member, in_query=member.serialization.get("location") == "querystring", fractions=fractions)
            for name, member in shape.members.items()
        }
        if getattr(shape, "is_tagged_union", False):
            return st.one_of([st.fixed_dictionaries({name: values}) for name, values in members.items()])
        required = {name: values for name, values in members.items() if name in shape.required_members}
        optional = {name: values for name, values in members.items() if name not in shape.required_members}
        return st.fixed_dictionaries(required, optional=optional)
    if shape.type_name == "list":
        low = max(shape.metadata.get("min", 0), 1 if in_query else 0)
        high = min(shape.metadata.get("max", 3), low + 3)
        return st.lists(values_of(shape.member, fractions=fractions), min_size=low, max_size=high)
    if shape.type_name == "map":
        return st.dictionaries(values_of(shape.key), values_of(shape.value), max_size=4)
    return scalars_of(shape, fractions=fractions)


def scalars_of(shape, *, fractions):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    match shape.type_name:
        case "string":
            return texts_of(shape)
        case "integer":
            return st.integers(-(2**31) if low is None else low, 2**31 - 1 if high is None else high)
        case "boolean":
            return st.booleans()
        case "blob":
            return st.binary(min_size=low or 0, max_size=min(high or 64, 64))
        case "timestamp":
            ticks = st.integers(0, 4_000_000_000_000 if fractions else 4_000_000_000)
            return ticks.map(lambda tick: from_epoch(tick / 1000 if fractions else tick))
        case kind:
            raise AssertionError(f"no values for {kind}")


def texts_of(shape):
    metadata = shape.metadata
    low, high = metadata.get("min", 0), metadata.get("max", 2**31)
    if "enum" in metadata:
        return st.sampled_from(metadata["enum"])
    if "pattern" not in metadata:
        return st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
            min_size=low,
            max_size=min(high, low + 20),
        )
    if metadata["pattern"] == r"\d+" and low == high:
        return st.text("0123456789", min_size=low, max_size=high)
    if metadata["pattern"].startswith((r"[\u0009", r"[\p{L}", r"[\w")):
        permitted = regex.compile(metadata["pattern"], regex.ASCII)
        alphabet = [chr(code) for code in range(128) if permitted.fullmatch(chr(code))]
        return st.text(st.sampled_from(alphabet), min_size=low, max_size=min(high, low + 20))
    pattern = metadata["pattern"].replace(r"\p{ASCII}{0,8192}", r"[\x01-\x7f]{0,40}")
    values = st.from_regex(pattern, fullmatch=True, alphabet=st.characters(codec="ascii", exclude_characters="\0"))
    return values.filter(lambda text: low <= len(text) <= high)


def from_epoch(seconds):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


@cache
def sample(name):
    """A fixed valid set of parameters of an operation, with every member that can be given together."""
    return sample_of(MODEL.operation_model(name).input_shape)


def sample_of(shape):
    if shape.type_name == "structure":
        names = list(shape.members)
        names = names[:1] if getattr(shape, "is_tagged_union", False) else names
        return {name: sample_of(shape.members[name]) for name in names}
    if shape.type_name == "list":
        return [sample_of(shape.member)]
    if shape.type_name == "map":
        return {sample_of(shape.key): "value"}
    value = SAMPLES.get(shape.name, PLAIN_SAMPLES[shape.type_name])
    return shape.metadata["enum"][0] if "enum" in shape.metadata else value


class SentRequest:
    """A request as it would go over the wire."""

    def __init__(self, prepared):
        url = urlsplit(prepared.url)
        self.method = prepared.method
        self.raw_path = url.path.encode()
        self.query_string = url.query.encode()
        self.headers = [
            (k.lower().encode(), v if isinstance(v, bytes) else v.encode()) for k, v in prepared.headers.items()
        ]
        if not any(name == b"host" for name, _ in self.headers):
            self.headers.append((b"host", url.netloc.encode()))
        body = prepared.body or b""
        self.body = body.encode() if isinstance(body, str) else bytes(body)


def sent(name, parameters):
    """The request botocore makes of parameters, without validating them."""
    serialiser = create_serializer("rest-json", include_validation=False)
    request = serialiser.serialize_to_request(parameters, MODEL.operation_model(name))
    prepare_request_dict(request, "http://imaging.test:8080", context={})
    return SentRequest(create_request_object(request).prepare())
