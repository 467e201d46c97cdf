"""Which requests are committed together: an algebra of queues, without a database."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hounsfield.imaging.image_set_access import UNLIMITED, UnlimitedAccess
from hounsfield.imaging.receive.group_commit import MOST_INSTANCES, WaitingRequest, choose_group
from hounsfield.imaging.receive.store_transaction import StoreRequest
from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.storage.keys.data_key import DataKey
from support.imaging.staged_instances import staged

_KEYS = [DataKey(letter * 32, b"k" * 32) for letter in "ab"]


class LimitedAccess(UnlimitedAccess):
    """The access of somebody whom policies may deny image sets."""

    @property
    def is_limited(self) -> bool:
        return True


def waiting(datastore: int, uids: list[int], *, held: bool = False, limited: bool = False) -> WaitingRequest:
    instances: dict[int, StagedInstance] = {place: staged(f"1.{uid}") for place, uid in enumerate(uids)}
    access = LimitedAccess() if limited else UNLIMITED
    return WaitingRequest(StoreRequest("r", _KEYS[datastore], instances, access), not_before=10.0 if held else 0.0)


_WAITING = st.lists(
    st.builds(
        waiting,
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
        held=st.booleans(),
        limited=st.booleans(),
    ),
    max_size=12,
)


@given(_WAITING)
def test_groups_keep_the_order_of_requests_of_the_same_instance(queue: list[WaitingRequest]) -> None:
    left, done, now = list(queue), [], 5.0
    while left:
        group, rest = choose_group(left, now)
        assert [entry for entry in left if entry in group] == group, "the order in which they came"
        assert [entry for entry in left if entry in rest] == rest
        assert len(group) + len(rest) == len(left)
        assert len({entry.request.key.datastore_id for entry in group}) <= 1
        uids = [uid for entry in group for uid in entry.sop_uids]
        assert len(uids) == len(set(uids)), "an instance is once in a group"
        assert all(entry.not_before <= now for entry in group)
        assert len(group) < 2 or not any(entry.request.access.is_limited for entry in group), (
            "who is limited goes alone"
        )
        if not group:
            assert any(entry.not_before > now for entry in left), "only those that are held let others wait"
            now = 20.0
        done += group
        left = rest
    for datastore in _KEYS:
        for uid in {uid for entry in queue for uid in entry.sop_uids}:
            came = [e for e in queue if uid in e.sop_uids and e.request.key == datastore]
            assert [e for e in done if e in came] == came


def test_a_group_is_bounded_and_a_single_request_is_not() -> None:
    large = [waiting(0, list(range(first, first + MOST_INSTANCES))) for first in (0, MOST_INSTANCES)]
    group, rest = choose_group(large, 0.0)
    assert (group, rest) == (large[:1], large[1:])
    several = replace(large[0].request, staged={i: staged(f"2.{i}") for i in range(MOST_INSTANCES + 1)})
    group, rest = choose_group([WaitingRequest(several)], 0.0)
    assert len(group) == 1
