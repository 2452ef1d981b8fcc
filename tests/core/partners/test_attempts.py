"""Attempts of those who may be anybody."""

from __future__ import annotations

from dotpeen.partners import RateLimit
from dotpeen.partners import attempts as attempts_module
from dotpeen.partners.attempts import Attempts


def test_each_has_so_many_in_a_window() -> None:
    attempts = Attempts(RateLimit(2, 60))
    for who in ("a", "a", "b"):
        assert attempts.wait(who, 600.0) is None
        attempts.count(who, 600.0)
    assert (attempts.wait("a", 610.0), attempts.wait("b", 610.0)) == (50, None)
    assert attempts.wait("a", 660.0) is None


def test_of_more_than_can_be_remembered_the_newcomers_are_one() -> None:
    attempts = Attempts(RateLimit(3, 60))
    for number in range(attempts_module._MOST + 3):
        attempts.count(f"{number}", 600.0)
    assert attempts.wait("0", 600.0) is None
    assert attempts.wait("a newcomer", 600.0) == 60
    assert len(attempts._made) == attempts_module._MOST + 1
