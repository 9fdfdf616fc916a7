"""Mask: which prunable weights survive, as an immutable mapping from weight name to bool array."""

import functools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ltx.core import identity
from ltx.core.errors import UsageError
from ltx.core.prunable import Weight


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
                array.flags.writeable = False  # nobody else has it, so it need not be copied
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
        """The weight tensors of which nothing survives."""
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
        """Each tensor's survivors at random places within it: same densities, other connections."""
        return Mask(
            {
                name: rng.permutation(array.reshape(-1)).reshape(array.shape)
                for name, array in self.items()
            }
        )
