"""How a rate limit is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.errors import PartnerError
from dotpeen.partners import RateLimit


@given(st.integers(1, 10**9), st.sampled_from([1, 60, 3600, 86400]))
def test_a_limit_is_read_as_it_is_written(requests: int, seconds: int) -> None:
    limit = RateLimit(requests, seconds)
    assert RateLimit.parse(str(limit)) == limit


def test_nought_is_no_limit() -> None:
    assert RateLimit.parse("0").unlimited
    assert str(RateLimit.parse("0")) == "unlimited"


@pytest.mark.parametrize(
    "text", ["", "600", "600/minute", "0/min", "-1/min", "1.5/s", "600/min ", "٦/s", "1000000001/s"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(PartnerError):
        RateLimit.parse(text)
