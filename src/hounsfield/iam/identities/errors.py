"""Errors of changes of the directory, with the names that IAM gives them; messages hold no secrets."""

from __future__ import annotations


class DirectoryError(Exception):
    """A change that was refused; nothing of it was made."""


class NoSuchEntityError(DirectoryError):
    """What is named is not there (IAM ``NoSuchEntity``)."""


class EntityAlreadyExistsError(DirectoryError):
    """The name is taken (IAM ``EntityAlreadyExists``)."""


class DeleteConflictError(DirectoryError):
    """It is still used (IAM ``DeleteConflict``)."""


class LimitExceededError(DirectoryError):
    """There are as many as there may be (IAM ``LimitExceeded``)."""


class InvalidInputError(DirectoryError, ValueError):
    """A value is not of its form (IAM ``ValidationError``)."""


class MalformedPolicyError(InvalidInputError):
    """The document is no valid policy; the message says where and why (IAM ``MalformedPolicyDocument``)."""


class DirectoryUnavailableError(Exception):
    """The database was not heard of for too long to still trust what is in memory."""
