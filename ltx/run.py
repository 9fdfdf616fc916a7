"""Run: what a training ended in, and its validation curve since the state it started from."""

import dataclasses

from ltx.history import History
from ltx.state import State


@dataclasses.dataclass(frozen=True)
class Run:
    """What a training ended in, and its validation curve since the state it started from."""

    state: State
    history: History
