"""The places inside an operation's input: where each shape of botocore's model stands, and one value put there."""

import copy

from support.requests.shape_samples import MODEL, sample, sample_of


def places(shape, path=(), *, sensitive=False):
    """Every shape inside a structure, with its path (member names, 0 for an element) and whether it is sensitive."""
    sensitive = sensitive or bool(shape.metadata.get("sensitive"))
    yield path, shape, sensitive
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from places(member, (*path, name), sensitive=sensitive)
    elif shape.type_name == "list":
        yield from places(shape.member, (*path, 0), sensitive=sensitive)


def dotted(path):
    return ".".join("1.member" if step == 0 else step for step in path)


def with_value(name, path, value):
    """The sample of an operation with one value put in, unions and optional structures on the way made to fit."""
    shape = MODEL.operation_model(name).input_shape
    root = parameters = copy.deepcopy(sample(name))
    for number, step in enumerate(path):
        last = number == len(path) - 1
        if getattr(shape, "is_tagged_union", False):
            kept = {step: parameters[step]} if step in parameters else {step: sample_of(shape.members[step])}
            parameters.clear()
            parameters.update(kept)
        shape = shape.member if step == 0 else shape.members[step]
        if last:
            if value is None:
                del parameters[step]
            else:
                parameters[step] = value
        else:
            parameters = parameters[step]
    return root


def sized(shape, size):
    """A value of a length; of integers, that value."""
    match shape.type_name:
        case "integer":
            return size
        case "list":
            return [sample_of(shape.member)] * size
        case "blob":
            return b"0" * size
        case _:
            return "0" * size
