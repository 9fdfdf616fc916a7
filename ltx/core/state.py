"""State: everything that training reads and changes, as immutable named arrays."""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from ltx.core import identity
from ltx.core.mask import Mask

GROUPS = ("weights", "statistics", "slots")


def first_not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """The name of the first array that holds a NaN or an infinity; None where all are finite."""
    for name, array in arrays.items():
        # The kind of the small floats of ml_dtypes, such as bfloat16, is V.
        values = array.astype(np.float32) if array.dtype.kind == "V" else array
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            return name
    return None


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """Weights, other variables (BatchNorm statistics), optimizer slots, and the step reached.

    Slots are named `slot:weight`, as in `momentum:conv_1/kernel`; a slot of the optimizer as a
    whole has nothing after the colon. Empty `slots` mean a fresh optimizer.
    """

    weights: Mapping[str, np.ndarray]
    statistics: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    slots: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    step: int = 0

    def __post_init__(self) -> None:
        for group in GROUPS:
            object.__setattr__(self, group, identity.freeze(getattr(self, group)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"State({self.id}, step={self.step})"

    @functools.cached_property
    def id(self) -> str:
        return identity.digest(self.arrays())

    def first_not_finite(self, *groups: str) -> str | None:
        """The first array of these groups, of all by default, that holds a NaN or an infinity."""
        found = (self._not_finite[group] for group in groups or GROUPS)
        return next(filter(None, found), None)

    @functools.cached_property
    def _not_finite(self) -> dict[str, str | None]:
        return {group: first_not_finite(getattr(self, group)) for group in GROUPS}

    def replace(self, **changes: object) -> "State":
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def masked(self, mask: Mask) -> "State":
        """This state with zeros in the weights that the mask prunes, and in their slots."""
        slots = dict(self.slots)
        for name, array in slots.items():
            weight = name.partition(":")[2]
            if weight in mask:
                slots[name] = np.where(mask[weight], array, array.dtype.type(0))
        return self.replace(weights=mask.apply(self.weights), slots=slots)

    @property
    def has_scores(self) -> bool:
        """Whether `Lab.train_mask` left scores in this state."""
        return any(slot.startswith("score:") for slot in self.slots)

    def with_scores(self, scores: Mapping[str, np.ndarray]) -> "State":
        """This state with these scores of masks, at momentum 0, as its only slots."""
        slots = {f"score:{name}": array for name, array in scores.items()}
        slots |= {f"score_momentum:{name}": np.zeros_like(a) for name, a in scores.items()}
        return self.replace(slots=slots)

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays in one flat mapping, from which `from_arrays` makes the same state again."""
        flat = {
            f"{group}/{name}": a for group in GROUPS for name, a in getattr(self, group).items()
        }
        return {**flat, "step": np.asarray(self.step, np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "State":
        groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in GROUPS}
        for name, array in arrays.items():
            group, _, rest = name.partition("/")
            if group in groups:
                groups[group][rest] = array
        return cls(**groups, step=int(arrays["step"]))
