"""Clock: it goes while work is done, and stands still while it is told to."""

import pytest
from hands import Hands

from ltx.core import clock


def test_it_goes_but_for_what_is_stopped(hands: Hands) -> None:
    begun = clock.now()
    hands.move(2)
    with clock.paused():
        hands.move(30)
        with clock.paused():
            hands.move(400)
        hands.move(30)
    hands.move(1)
    assert clock.now() - begun == 3


def test_it_goes_on_after_an_error(hands: Hands) -> None:
    def fail() -> None:
        with clock.paused():
            hands.move(10)
            raise ZeroDivisionError

    begun = clock.now()
    with pytest.raises(ZeroDivisionError):
        fail()
    hands.move(1)
    assert clock.now() - begun == 1


def test_it_is_the_time_of_the_wall() -> None:
    assert 0 <= clock.now() - clock.now() + 1 <= 1
