"""Budget: how much a run may train before it stops; the next run continues from there."""

import dataclasses
import re

from ltx.core.errors import BudgetError, UsageError

_TEXT = re.compile(r"(\d+(?:\.\d+)?)(it|s|m|h|d)")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclasses.dataclass(frozen=True)
class Limit:
    """A limit on steps or on seconds of training; None for the one that is not limited."""

    text: str
    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Limit":
        match = _TEXT.fullmatch(text.strip())
        amount = float(match[1]) if match else 0.0
        if not match or amount == 0 or (match[2] == "it" and amount != int(amount)):
            raise UsageError(f"--budget: expected 20000it, 90s, 30m, 2h or 1d, got {text!r}")
        if match[2] == "it":
            return cls(text.strip(), steps=int(amount))
        return cls(text.strip(), seconds=amount * SECONDS[match[2]])


class Budget:
    """The rest of a limit, shared by all labs of a process; without a limit it never ends.

    Only new training counts, with its evaluations; cached training is free.
    """

    def __init__(self, limit: Limit | None = None) -> None:
        self.limit = limit
        self.steps, self.seconds = 0, 0.0

    def grant(self, wanted: int, pace: float) -> int:
        """How many of `wanted` steps may be taken now, at `pace` seconds per step.

        Raises BudgetError where none may. `pace` is 0 before it has been measured.
        """
        allowed = wanted
        if self.limit and self.limit.steps is not None:
            allowed = min(wanted, self.limit.steps - self.steps)
        if self.limit and self.limit.seconds is not None:
            left = self.limit.seconds - self.seconds
            # At least one: the first pace includes compilation and is an overestimate.
            allowed = min(wanted, max(1, int(left / pace)) if pace else wanted) if left > 0 else 0
        if allowed < 1 and self.limit:
            raise BudgetError(
                f"the budget of {self.limit.text} is used up after {self.steps:,} new steps in"
                f" {self.seconds:.0f} s; all of it is kept, and the same command goes on from"
                " there, with as much again or another --budget"
            )
        return allowed

    def spend(self, steps: int, seconds: float) -> None:
        self.steps += steps
        self.seconds += seconds
