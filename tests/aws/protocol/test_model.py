import pytest

from hounsfield.aws.protocol import errors
from hounsfield.aws.protocol.errors import AwsError
from hounsfield.aws.protocol.model import Kind, Location, load_service
from support.requests.shape_samples import MODEL, OPERATIONS


def test_the_service_is_that_of_botocore(service):
    assert sorted(service.operations) == OPERATIONS
    assert len(service.operations) == 18
    assert service.signing_name == "medical-imaging"
    assert service.api_version == "2023-07-19"
    assert load_service() is service


def test_operations_without_a_result_answer_204_and_all_others_200(service):
    empty = {name for name, operation in service.operations.items() if operation.status == 204}
    assert empty == {"TagResource", "UntagResource"}
    assert {operation.status for operation in service.operations.values()} == {200, 204}


def test_constraints_are_read(service):
    search = service.operations["SearchImageSets"].input
    assert search.payload == "searchCriteria"
    assert search.members["maxResults"].location is Location.QUERY
    assert (search.members["maxResults"].shape.minimum, search.members["maxResults"].shape.maximum) == (1, 50)
    criteria = search.members["searchCriteria"].shape
    assert criteria.sensitive
    values = criteria.members["filters"].shape.element.members["values"].shape
    assert (values.kind, values.minimum, values.maximum, values.element.union) == (Kind.LIST, 1, 2, True)
    assert service.operations["GetImageSet"].input.located(Location.QUERY)["version"].name == "versionId"


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_modelled_error_has_its_exception_with_the_status_of_the_model(service, name):
    modelled = {
        shape.name: shape.metadata["error"]["httpStatusCode"] for shape in MODEL.operation_model(name).error_shapes
    }
    assert {error.code: error.status for error in service.operations[name].errors.values()} == modelled
    for code, status in modelled.items():
        exception = getattr(errors, code)
        assert issubclass(exception, AwsError)
        assert (exception.code, exception.status) == (code, status)
