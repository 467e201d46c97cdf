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
    "cli/test_commands.py": 65,
    "console/test_every_page.py": 50,
    "imaging/tiering/test_pack_mover.py": 50,
    "system/faults/test_kill.py": 50,
    "system/nodes/test_mismatch.py": 45,
    "system/faults/test_outages.py": 40,
    "imaging/imagesets/test_study_update.py": 40,
    "conformance/test_cli.py": 35,
    "imaging/tiering/test_orphan_packs.py": 35,
    "imaging/retrieve/test_real_files.py": 35,
    "system/nodes/test_two_nodes.py": 35,
    "audit/test_faults.py": 30,
    "cli/test_demo.py": 30,
    "imaging/imagesets/test_copy.py": 30,
    "server/test_stop.py": 30,
    "server/test_tls.py": 30,
    "clients/test_ahi_to_dicom.py": 25,
    "conformance/test_errors.py": 25,
    "imaging/receive/test_store_groups.py": 25,
    "docs/test_encryption.py": 25,
    "docs/test_readme.py": 25,
    "cli/test_identities.py": 25,
    "system/test_state_machine.py": 25,
    "gateway/test_odd_names.py": 25,
    "gateway/test_slow_clients.py": 25,
    "imaging/tiering/test_tiers.py": 25,
    "gateway/test_bearer_authentication.py": 20,
    "imaging/search/test_index.py": 20,
    "docs/test_audit.py": 20,
    "docs/test_openid_connect.py": 20,
    "storage/test_at_rest.py": 20,
    "audit/test_records.py": 20,
    "imaging/imagesets/test_copy_postgresql.py": 20,
    "imaging/imports/test_limits.py": 20,
    "imaging/imports/test_real_files.py": 20,
    "cli/test_master_keys.py": 20,
    "storage/keys/test_key_service.py": 20,
    "imaging/test_quotas.py": 20,
    "imaging/retrieve/test_locked_image_sets.py": 20,
    "storage/buckets/test_s3.py": 20,
    "imaging/imagesets/test_update_locked.py": 20,
    "clients/test_sdk_examples.py": 15,
    "conformance/test_refusals.py": 15,
    "api/dicomweb/test_search.py": 15,
    "docs/test_temporary_credentials.py": 15,
    "storage/buckets/test_role_credentials.py": 15,
    "api/sts/test_assume_role_with_web_identity.py": 15,
    "imaging/tiering/test_pack_mover_s3.py": 15,
    "imaging/imports/test_bad_input.py": 15,
    "imaging/imagesets/test_delete.py": 15,
    "imaging/ingest/test_image_sets.py": 15,
    "iam/authorization/test_limited_users.py": 15,
    "audit/test_hash_chain.py": 10,
    "iam/policies/test_evaluation.py": 10,
    "clients/test_javascript.py": 10,
    "docs/test_storage_tiers.py": 10,
    "api/sts/test_assume_role.py": 10,
    "system/test_postgresql.py": 10,
    "gateway/test_every_route.py": 10,
    "imaging/imports/test_s3_input.py": 10,
    "gateway/test_throttling.py": 10,
    "imaging/tiering/test_tiers_postgresql.py": 10,
    "imaging/imagesets/test_update.py": 10,
}
"""By the path below ``tests``."""


TESTS: Final = Path(__file__).parent


def taking_turns(named: Sequence[str]) -> list[str]:
    """Return what pytest is to read: where that is the whole suite and several processes do, its files from one of them on."""
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
