"""Mask: which prunable weights survive; and the protocols of what makes masks in training."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from ltx.core import identity
from ltx.core.errors import UsageError
from ltx.core.prunable import Prunable, Weight

Scores = Mapping[str, np.ndarray]


class Mask(Mapping[str, np.ndarray]):
    """An immutable `{weight name: bool array}`; True survives. Combine masks with & and |."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        checked = {}
        for name, given in arrays.items():
            array = np.asarray(given)
            if array.dtype != np.bool_:
                if not ((array == 0) | (array == 1)).all():
                    raise UsageError(f"mask of {name}: expected only 0 and 1, got other values")
                array = array.astype(np.bool_)
                array.flags.writeable = False  # a fresh copy, which `freeze` need not copy again
            checked[name] = array
        self._arrays = identity.freeze(checked)

    @classmethod
    def ones(cls, weights: Iterable[Weight]) -> "Mask":
        return cls({weight.name: np.ones(weight.shape, np.bool_) for weight in weights})

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Mask({self.id}, density={self.density:.4f}, {len(self)} weights)"

    @functools.cached_property
    def id(self) -> str:
        return identity.digest(self._arrays)

    @functools.cached_property
    def kept(self) -> int:
        return sum(int(np.count_nonzero(array)) for array in self.values())

    @property
    def size(self) -> int:
        return sum(array.size for array in self.values())

    @property
    def density(self) -> float:
        """The share of the prunable weights that survives, 0 to 1."""
        return self.kept / self.size if self.size else 1.0

    def densities(self) -> dict[str, float]:
        """The density of each weight tensor."""
        return {name: float(array.mean()) for name, array in self.items()}

    def empty(self) -> list[str]:
        """The names of the weight tensors without a surviving weight."""
        return [name for name, array in self.items() if not array.any()]

    def check(self, weights: Iterable[Weight]) -> "Mask":
        """This mask, if it fits these weights exactly and keeps at least one of them."""
        shapes = {weight.name: weight.shape for weight in weights}
        if missing := sorted(shapes.keys() ^ self.keys()):
            where = "missing from" if missing[0] in shapes else "unknown in"
            raise UsageError(
                f"mask: {missing[0]} is {where} it; expected exactly {', '.join(shapes)}"
            )
        for name, shape in shapes.items():
            if self[name].shape != shape:
                raise UsageError(f"mask of {name}: expected shape {shape}, got {self[name].shape}")
        if shapes and not self.kept:
            raise UsageError(
                "mask: no weight survives; a network without weights cannot be trained"
            )
        return self

    def _combine(self, other: "Mask", operation: np.ufunc) -> "Mask":
        if self.keys() != other.keys():
            raise UsageError(
                "masks of different models cannot be combined: their weight names differ"
            )
        return Mask({name: operation(self[name], other[name]) for name in self})

    def __and__(self, other: "Mask") -> "Mask":
        return self._combine(other, np.logical_and)

    def __or__(self, other: "Mask") -> "Mask":
        return self._combine(other, np.logical_or)

    def __le__(self, other: "Mask") -> bool:
        """Whether this mask is nested in the other one."""
        return (self & other) == self

    def overlap(self, other: "Mask") -> float:
        """The share of this mask's survivors that also survive in the other one."""
        return (self & other).kept / self.kept if self.kept else 1.0

    def apply(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays with zeros where their mask is False; arrays without a mask unchanged."""
        zeroed = dict(arrays)
        for name, keep in self.items():
            zeroed[name] = np.where(keep, zeroed[name], zeroed[name].dtype.type(0))
        return zeroed

    def shuffled(self, rng: np.random.Generator) -> "Mask":
        """Each tensor's mask in random order: the same densities, other connections."""
        return Mask(
            {
                name: rng.permutation(array.reshape(-1)).reshape(array.shape)
                for name, array in self.items()
            }
        )


@runtime_checkable
class MaskLearner(Protocol):
    """A method for `Lab.train_mask`: how scores become masks, and how scores are trained.

    Scores are trained by SGD with `momentum` at a `learning_rate` of their own, since their scale
    is not that of weights. Batches, length, shape of the learning-rate curve, augmentation and
    label smoothing are the recipe's; weight decay and gradient clipping do not apply. Weights that
    the given `mask` prunes are never selected and have no gradient.
    """

    @property
    def learning_rate(self) -> float: ...

    @property
    def momentum(self) -> float: ...

    def init_scores(
        self, weights: Mapping[str, np.ndarray], mask: Mask, rng: Callable[..., np.random.Generator]
    ) -> Scores:
        """The scores before the first step, float32; `rng` is `Lab.rng`."""

    def mask(self, scores: Scores, mask: Mask) -> Mask:
        """The mask to use after training: a function of the scores, without randomness."""

    def sample_mask(self, scores: Scores, mask: Mask, rng: np.random.Generator) -> Mask:
        """The mask of one training step."""

    def score_gradient(self, scores: Scores) -> Scores:
        """The derivative of a weight's multiplier by its score: dL/ds = dL/dw * w * this."""


@runtime_checkable
class MaskSchedule(Protocol):
    """A schedule for `Lab.scheduled_mask`: after which steps a mask is made, and which one."""

    def check(self, lab: Prunable) -> object:
        """Raise UsageError where the schedule cannot be applied to this lab's weights."""

    def is_due(self, step: int) -> bool:
        """Whether a mask is made after this many steps."""

    def mask(self, lab: Prunable, weights: Mapping[str, np.ndarray], step: int) -> Mask:
        """The mask made of these weights after this many steps."""
