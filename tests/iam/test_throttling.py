"""Token buckets: the one integer that is kept of a bucket does what a bucket with tokens in it would do."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.aws.protocol.model import load_service
from hounsfield.iam.throttling import Throttle, ThrottledError, take_token
from hounsfield.settings.throttling import AWS_RATES, UNLIMITED_BY_AWS, Rate, Throttling, parse_rates

SECOND = 1_000_000_000
rates = st.builds(Rate, st.floats(0.01, 5000), st.integers(1, 50))
pauses = st.lists(st.integers(0, 3 * SECOND) | st.integers(0, SECOND // 1000), max_size=60)


class Clock:
    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class FullBucket:
    """A bucket that holds its tokens, in exact fractions."""

    def __init__(self, rate: Rate, now: int) -> None:
        self.rate, self.tokens, self.now = rate, Fraction(rate.burst), now

    def take(self, now: int) -> bool:
        filled = self.tokens + Fraction(now - self.now, self.rate.interval_ns)
        self.tokens, self.now = min(Fraction(self.rate.burst), filled), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@given(rate=rates, start=st.integers(0, 10**18), waits=pauses)
def test_it_lets_through_what_a_bucket_of_tokens_lets_through(rate: Rate, start: int, waits: list[int]) -> None:
    bucket, full_at, now = FullBucket(rate, start), 0, start
    for wait in waits:
        now += wait
        full_at, missing = take_token(rate, full_at, now)
        assert bucket.take(now) == (missing == 0)


@given(rate=rates, start=st.integers(0, 10**18), waits=pauses)
def test_no_span_of_time_sees_more_than_the_burst_and_what_came_back(rate: Rate, start: int, waits: list[int]) -> None:
    full_at, now, passed = 0, start, []
    for wait in waits:
        now += wait
        full_at, missing = take_token(rate, full_at, now)
        if not missing:
            passed.append(now)
    for first, begin in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= rate.burst + (passed[last] - begin) / rate.interval_ns


@given(rate=rates, start=st.integers(0, 10**18), waits=pauses)
def test_the_wait_it_tells_is_the_shortest(rate: Rate, start: int, waits: list[int]) -> None:
    full_at, now = 0, start
    for wait in waits:
        now += wait
        before = full_at
        full_at, missing = take_token(rate, full_at, now)
        if missing:
            assert full_at == before
            assert take_token(rate, full_at, now + missing)[1] == 0
            assert take_token(rate, full_at, now + missing - 1)[1] == 1


@given(rate=rates, now=st.integers(0, 10**18), unused=st.integers(0, 10**18))
def test_an_unused_bucket_is_a_new_one(rate: Rate, now: int, unused: int) -> None:
    later = now + unused
    assert take_token(rate, now, later) == take_token(rate, 0, later) == (later + rate.interval_ns, 0)


def test_accounts_and_actions_have_buckets_of_their_own() -> None:
    clock = Clock(5 * SECOND)
    throttle = Throttle({"GetImageSet": Rate(1, 2), "CopyImageSet": Rate(0.25, 1)}, clock=clock)
    for _ in range(2):
        throttle.take("111111111111", "GetImageSet")
    with pytest.raises(ThrottledError, match="GetImageSet can be called 1 times a second with bursts of 2") as error:
        throttle.take("111111111111", "GetImageSet")
    assert error.value.wait_seconds == 1
    throttle.take("222222222222", "GetImageSet")
    throttle.take("111111111111", "CopyImageSet")
    for _ in range(1000):
        throttle.take("111111111111", "ListDatastores")
    clock.now += SECOND
    throttle.take("111111111111", "GetImageSet")
    with pytest.raises(ThrottledError, match=r"CopyImageSet .* try again in 3 s\."):
        throttle.take("111111111111", "CopyImageSet")


@given(rate=rates, processes=st.integers(1, 16))
def test_processes_share_a_rate(rate: Rate, processes: int) -> None:
    share = rate.share_of(processes)
    assert share.per_second * processes == pytest.approx(rate.per_second)
    assert share.burst >= 1
    assert share.burst * processes <= max(rate.burst, processes)


def test_a_process_keeps_to_its_share_and_tells_the_whole_rate() -> None:
    throttle = Throttle({"GetImageFrame": Rate(1000, 2000)}, processes=4, clock=Clock(0))
    for _ in range(500):
        throttle.take("0", "GetImageFrame")
    with pytest.raises(ThrottledError, match="1000 times a second with bursts of 2000") as error:
        throttle.take("0", "GetImageFrame")
    assert error.value.wait_seconds == pytest.approx(1 / 250)


def test_every_operation_of_the_model_has_a_rate_of_aws() -> None:
    assert load_service().operations.keys() <= AWS_RATES.keys()
    assert AWS_RATES.keys().isdisjoint(UNLIMITED_BY_AWS)
    dicomweb = {"GetDICOMInstance", "GetDICOMInstanceMetadata", "GetDICOMInstanceFrames", "GetDICOMSeriesMetadata"}
    assert {str(AWS_RATES[action]) for action in dicomweb} == {"50/100"}


def test_rates_are_those_of_aws_but_for_the_overrides() -> None:
    assert parse_rates(Throttling.OFF, "") == {}
    assert parse_rates(Throttling.AWS, " ") == AWS_RATES
    overrides = "GetImageFrame=5000/10000, StoreDICOM=0.5/3,CopyImageSet=off ,SearchDICOMSeries=off"
    changed = {"GetImageFrame": Rate(5000, 10000), "StoreDICOM": Rate(0.5, 3)}
    assert parse_rates(Throttling.OFF, overrides) == changed
    expected = {**AWS_RATES, **changed}
    del expected["CopyImageSet"]
    assert parse_rates(Throttling.AWS, overrides) == expected


@given(rate=rates)
def test_a_rate_is_read_as_it_is_shown(rate: Rate) -> None:
    (read,) = parse_rates(Throttling.OFF, f"GetImageSet={rate}").values()
    assert read.burst == rate.burst
    assert read.per_second == pytest.approx(rate.per_second, rel=1e-5)


@pytest.mark.parametrize(
    "overrides",
    [
        "GetImageframe=1/2",
        "=1/2",
        "1/2",
        "GetImageSet",
        "GetImageSet=",
        "GetImageSet=1",
        "GetImageSet=1/",
        "GetImageSet=/2",
        "GetImageSet=0/2",
        "GetImageSet=-1/2",
        "GetImageSet=1/0",
        "GetImageSet=1/1.5",
        "GetImageSet=nan/2",
        "GetImageSet=inf/2",
        "GetImageSet=1/2/3",
        "GetImageSet=on",
    ],
)
def test_overrides_of_another_form_are_refused(overrides: str) -> None:
    with pytest.raises(ValueError, match=r"is not an action|must be GetImageSet=<per second>/<burst>"):
        parse_rates(Throttling.AWS, overrides)
