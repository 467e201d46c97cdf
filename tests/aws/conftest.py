import pytest

from hounsfield.aws.protocol.model import load_service
from hounsfield.aws.protocol.parser import parse_request
from support.requests.route_tables import find_operation


@pytest.fixture(scope="session")
def service():
    return load_service()


@pytest.fixture(scope="session")
def read():
    """Route and parse a request as the server would."""

    def read_request(request):
        operation, labels = find_operation(request.method, request.raw_path)
        return operation.name, parse_request(operation, labels, request.query_string, request.headers, request.body)

    return read_request
