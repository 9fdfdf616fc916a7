"""Run: what a training ended in, and its validation curve since the state it started from."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import ParamSpec

from ltx.core import clock
from ltx.core.history import History
from ltx.core.state import State

_P = ParamSpec("_P")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a training ended in, and its validation curve since the state it started from.

    `seconds` is what it took, with its evaluations, when it was really done; NaN where nobody
    knows. The same run may have taken more or fewer: they are not compared.
    """

    state: State
    history: History
    seconds: float = dataclasses.field(default=math.nan, compare=False)


def timed(train: Callable[_P, Run]) -> Callable[_P, Run]:
    """A training that tells how long it took."""

    @functools.wraps(train)
    def told(*args: _P.args, **kwargs: _P.kwargs) -> Run:
        begun = clock.now()
        run = train(*args, **kwargs)
        return dataclasses.replace(run, seconds=clock.now() - begun)

    return told
