"""Duration: a length of training in steps, epochs or percent, and its conversion to steps."""

import dataclasses
import re

from ltx.core.errors import UsageError, shown

MOST = 2**53  # above it, a float no longer holds every whole number
_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*(it|ep|%)")


@dataclasses.dataclass(frozen=True)
class Duration:
    """`500it`, `2ep` or `10%`; epochs and percent may be fractions, steps may not."""

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: "str | Duration") -> "Duration":
        if isinstance(text, Duration):
            return text
        match = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise UsageError(
                f"duration {shown(text)}: expected steps, epochs or percent, as in 500it, 2ep, 10%"
            )
        amount, unit = float(match[1]), match[2]
        if amount > MOST:
            raise UsageError(f"duration {shown(text)}: expected at most {MOST:,} steps or epochs")
        if unit == "it" and amount != int(amount):
            raise UsageError(f"duration {shown(text)}: a number of steps must be whole")
        if unit == "%" and amount > 100:
            raise UsageError(f"duration {shown(text)}: at most 100%")
        return cls(amount, unit)

    def steps(self, *, epoch: int, whole: int | None = None) -> int:
        """The number of steps, given the steps of one epoch and of the whole training."""
        if self.unit == "it":
            return int(self.amount)
        if self.unit == "ep":
            return round(self.amount * epoch)
        if whole is None:
            raise UsageError(
                f"duration {self}: percent has no meaning for the training's own length"
            )
        return round(self.amount / 100 * whole)

    def __str__(self) -> str:
        whole = self.amount == int(self.amount)
        return f"{int(self.amount) if whole else self.amount}{self.unit}"
