import pytest

from hounsfield.aws.protocol.model import load_service
from hounsfield.aws.protocol.parser import parse_request
from hounsfield.aws.protocol.routing import Router


@pytest.fixture(scope="session")
def service():
    return load_service()


@pytest.fixture(scope="session")
def router(service):
    return Router(service)


@pytest.fixture(scope="session")
def read(router):
    """Route and parse a request as the server would."""

    def read_request(request):
        match = router.match(request.method, request.raw_path)
        return match.operation.name, parse_request(match, request.query_string, request.headers, request.body)

    return read_request
