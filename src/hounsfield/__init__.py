"""Hounsfield: a self-hosted medical image store that speaks the AWS HealthImaging API."""

from __future__ import annotations

import sys
from typing import Final

_MOVED: Final = {
    "access": "iam, oidc and audit",
    "api_server": "server.granian_server",
    "app": "bootstrap.api",
    "audit_keeping": "bootstrap.audit_tasks",
    "auditing": "bootstrap.audit",
    "beginning": "bootstrap.first_start",
    "commands": "cli",
    "core_dumps": "runtime.core_dumps",
    "demo": "cli.demo",
    "dicomweb": "api.dicomweb",
    "forking": "runtime.forking",
    "front": "gateway.dispatch",
    "garbage": "runtime.gc_freeze",
    "gate": "gateway",
    "importer": "cli.import_command",
    "installation": "bootstrap.installation",
    "keeping": "server.child_process",
    "lasting_threads": "runtime.supervised_threads",
    "logs": "runtime.logs",
    "native": "api.healthimaging",
    "role_sources": "bootstrap.roles",
    "runner_process": "server.runner",
    "serving": "server.supervisor",
    "standard_error": "runtime.standard_error",
    "start_faults": "bootstrap.start_faults",
    "start_reports": "bootstrap.start_reports",
    "stores": "bootstrap.image_store",
    "sts": "api.sts",
    "tls": "runtime.tls",
    "token_sources": "bootstrap.tokens",
}
"""Packages and modules of former versions, and where their content is now."""


class _MovedModules:
    """The last of the finders: it is asked only for what is nowhere, and says where that is now."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:  # noqa: ARG004 - as it is called
        package, _, module = name.partition(".")
        if package == __name__ and module in _MOVED:
            # Without its name: an error that has it is swallowed by ``from hounsfield import …``.
            raise ModuleNotFoundError(f"No module named {name!r}; it is now in hounsfield: {_MOVED[module]}")


sys.meta_path.append(_MovedModules)
