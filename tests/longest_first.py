"""The order of the files of the suite: those that take longest first, so that no process is left alone with one at the end.

Before that each process reads all files, and compiles those that no other has compiled yet: so each begins with another one.

The seconds are those of two processes on two processors, roughly; only the order counts. A file that is not listed takes
less than ten.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

SECONDS: Final = {
    "system/test_system_cli.py": 65,
    "system/test_system_archive_store.py": 50,
    "system/test_system_kill.py": 50,
    "system/test_system_nodes.py": 45,
    "system/test_system_outages.py": 40,
    "system/test_system_study_update.py": 40,
    "conformance/test_conformance_cli.py": 35,
    "system/test_system_orphans.py": 35,
    "system/test_system_rebuild.py": 35,
    "system/test_system_two_nodes.py": 35,
    "system/test_system_audit_faults.py": 30,
    "system/test_system_copy.py": 30,
    "system/test_system_stop.py": 30,
    "system/test_system_tls.py": 30,
    "clients/test_clients_ahi_to_dicom.py": 25,
    "conformance/test_conformance_errors.py": 25,
    "dicomweb/test_dicomweb_store_groups.py": 25,
    "docs/test_docs_encryption.py": 25,
    "docs/test_docs_readme.py": 25,
    "system/test_system_identity_commands.py": 25,
    "system/test_system_machine.py": 25,
    "system/test_system_odd_names.py": 25,
    "system/test_system_slow_clients.py": 25,
    "system/test_system_tiers.py": 25,
    "dicomweb/test_dicomweb_bearer.py": 20,
    "dicomweb/test_dicomweb_search_index.py": 20,
    "docs/test_docs_audit.py": 20,
    "docs/test_docs_openid_connect.py": 20,
    "system/test_system_at_rest.py": 20,
    "system/test_system_audit.py": 20,
    "system/test_system_copy_postgresql.py": 20,
    "system/test_system_import_limits.py": 20,
    "system/test_system_import_real.py": 20,
    "system/test_system_keys.py": 20,
    "system/test_system_kms.py": 20,
    "system/test_system_quotas.py": 20,
    "system/test_system_rebuild_locked.py": 20,
    "system/test_system_s3.py": 20,
    "system/test_system_update_locked.py": 20,
    "clients/test_clients_sdk_examples.py": 15,
    "conformance/test_conformance_refusals.py": 15,
    "dicomweb/test_dicomweb_search.py": 15,
    "docs/test_docs_temporary_credentials.py": 15,
    "sts/test_sts_real_roles.py": 15,
    "sts/test_sts_web_identity.py": 15,
    "system/test_system_archive_store_s3.py": 15,
    "system/test_system_bad_input.py": 15,
    "system/test_system_delete.py": 15,
    "system/test_system_organise.py": 15,
    "system/test_system_policies.py": 15,
    "access/test_access_audit_chain.py": 10,
    "access/test_access_policies_deciding.py": 10,
    "clients/test_clients_javascript.py": 10,
    "docs/test_docs_storage_tiers.py": 10,
    "sts/test_sts_assume_role.py": 10,
    "system/test_system_postgresql.py": 10,
    "system/test_system_route_walk.py": 10,
    "system/test_system_s3_input.py": 10,
    "system/test_system_throttling.py": 10,
    "system/test_system_tiers_postgresql.py": 10,
    "system/test_system_update.py": 10,
}
"""By the path below ``tests``."""


TESTS: Final = Path(__file__).parent


def taking_turns(named: Sequence[str]) -> list[str]:
    """Give what pytest is to read: where that is the whole suite and several processes do, its files from one of them on."""
    number, count = os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if not number or [Path(name).resolve() for name in named] != [TESTS]:
        return list(named)
    files = sorted(str(path) for path in TESTS.rglob("test_*.py"))
    first = len(files) * int(number.removeprefix("gw")) // count
    return [*files[first:], *files[:first]]


def longest_first(items: list[pytest.Item]) -> None:
    """Arrange tests by how long their file takes, then by its name; those of one file stay together as they are."""
    assert [name for name in SECONDS if not (TESTS / name).exists()] == [], "files that are listed here are gone"
    seconds = {TESTS / name: seconds for name, seconds in SECONDS.items()}
    items.sort(key=lambda item: (-seconds.get(item.path, 0), item.path))
