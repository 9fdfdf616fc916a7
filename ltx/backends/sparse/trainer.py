"""Trainer: the arrays of one network and its data, trained by the compiled loop."""

from collections.abc import Mapping

import numpy as np

from ltx.backends.sparse import updates
from ltx.backends.sparse.evaluation import evaluation_loop
from ltx.backends.sparse.loop import training_loop
from ltx.backends.sparse.network import LEAKY, TANH, Examples, Network
from ltx.backends.sparse.rows import WIDTH
from ltx.core.recipe import Recipe

Arrays = Mapping[str, np.ndarray]
ITERATIONS = "iterations:"

_ALIGNED = 64  # bytes


class Trainer:
    """Trains the surviving weights of a network; parameters come and go as dense arrays by name."""

    def __init__(self, network: Network, loss: int, recipe: Recipe, examples: Examples) -> None:
        self._network, self._loss, self._recipe = network, loss, recipe
        self._settings, self._slots = updates.settings(recipe), updates.slot_names(recipe)
        self._inputs, self._targets = _inputs(examples), _targets(examples.targets)
        self._slopes = np.array([layer.slope for layer in network], np.float32)
        self._places, self._work = _rows(network)

    def load(self, weights: Arrays, slots: Arrays, mask: Arrays) -> None:
        """Load weights and slots; those that the mask prunes are not read."""
        self._survivors = [_Survivors(mask[layer.kernel]) for layer in self._network]
        index = np.concatenate([kept.index for kept in self._survivors])
        plan, pointers = self._plan(len(index))
        self._arguments = (plan, self._slopes, pointers, index)
        self._values = self._packed(weights, "")
        # Momentum has one slot: the other argument of the loop is then the same one, not read.
        self._held = [self._packed(slots, f"{slot}:") for slot in self._slots]
        self._gradients = np.zeros_like(self._values)
        self.iterations = int(slots[ITERATIONS])

    def _plan(self, weights: int) -> tuple[np.ndarray, np.ndarray]:
        """The plan of the network, see `passes`, and the pointers to each unit's survivors."""
        plan: list[tuple[int, ...]] = []
        parts: list[np.ndarray] = []
        start, bias, pointer = 0, weights, 0
        for layer, kept, places in zip(self._network, self._survivors, self._places, strict=True):
            first, kind = bias if layer.bias else -1, TANH if layer.tanh else LEAKY
            plan.append((layer.inputs, layer.units, pointer, first, kind, *places))
            parts.append(start + kept.pointers)
            start, pointer = start + len(kept.index), pointer + len(kept.pointers)
            bias += layer.units if layer.bias else 0
        return np.array(plan, np.int64), np.concatenate(parts)

    def run(self, table: np.ndarray, rates: np.ndarray) -> None:
        """Train on the batches of `table`, int32 [steps, batch], with these learning rates."""
        alphas = updates.corrected(rates, self.iterations, self._recipe.optimizer)
        training_loop()(
            np.ascontiguousarray(table, np.int32),
            np.stack([rates, alphas]).astype(np.float32),
            *(self._inputs, (self._loss, *self._targets), self._arguments),
            (self._values, self._gradients, self._held[0], self._held[-1]),
            *(self._settings, self._work),
        )
        self.iterations += len(rates)

    def evaluate(self, held_out: "Evaluated") -> tuple[float, float]:
        """The mean cross-entropy and the accuracy of the loaded weights over other examples."""
        inputs, labels = held_out.arrays
        loss, hits = evaluation_loop()(inputs, labels, self._arguments, self._values, self._work)
        return loss / len(labels), hits / len(labels)

    @property
    def first_not_finite(self) -> str:
        """The name of a weight or slot that is not finite; "" where all are."""
        if all(np.isfinite(array).all() for array in (self._values, *self._held)):
            return ""
        arrays = {**self.weights(), **self.slots()}
        return next(name for name, array in arrays.items() if not np.isfinite(array).all())

    def weights(self) -> dict[str, np.ndarray]:
        """The kernels and biases as dense arrays."""
        return self._unpacked(self._values, "")

    def slots(self) -> dict[str, np.ndarray]:
        """The optimizer's slots as dense arrays, with its count of updates."""
        found: dict[str, np.ndarray] = {}
        for slot, held in zip(self._slots, self._held, strict=True):
            found |= self._unpacked(held, f"{slot}:")
        return {**found, ITERATIONS: np.asarray(self.iterations, np.int64)}

    def gradients(self) -> dict[str, np.ndarray]:
        """The gradients of the last step as dense arrays, with L2 and clipped."""
        return self._unpacked(self._gradients, "")

    def _packed(self, arrays: Arrays, prefix: str) -> np.ndarray:
        pairs = list(zip(self._network, self._survivors, strict=True))
        kernels = [kept.pack(arrays[prefix + layer.kernel]) for layer, kept in pairs]
        biases = [arrays[prefix + layer.bias] for layer in self._network if layer.bias]
        return np.concatenate([*kernels, *biases]).astype(np.float32)

    def _unpacked(self, flat: np.ndarray, prefix: str) -> dict[str, np.ndarray]:
        found, start = {}, 0
        for layer, kept in zip(self._network, self._survivors, strict=True):
            stop = start + len(kept.index)
            found[prefix + layer.kernel] = kept.unpack(flat[start:stop])
            start = stop
        for layer in self._network:
            if layer.bias:
                found[prefix + layer.bias] = flat[start : start + layer.units].copy()
                start += layer.units
        return found


class Evaluated:
    """Examples with class numbers that are evaluated, as the compiled loop takes them."""

    def __init__(self, examples: Examples) -> None:
        self.arrays = _inputs(examples), _targets(examples.targets)[0]


class _Survivors:
    """The surviving weights of a kernel [inputs, units], unit by unit.

    `index` int32 is the input of each, `pointers` int64 [units + 1] where each unit's begin.
    """

    def __init__(self, keep: np.ndarray) -> None:
        self._keep = np.ascontiguousarray(keep.T)
        self.index = np.nonzero(self._keep)[1].astype(np.int32)
        self.pointers = np.concatenate([[0], self._keep.sum(axis=1).cumsum()]).astype(np.int64)

    def pack(self, kernel: np.ndarray) -> np.ndarray:
        return kernel.T[self._keep]

    def unpack(self, flat: np.ndarray) -> np.ndarray:
        result = np.zeros(self._keep.shape, np.float32)
        result[self._keep] = flat
        return np.ascontiguousarray(result.T)


def _rows(network: Network) -> tuple[list[tuple[int, int, int, int]], np.ndarray]:
    """Where each layer's rows of inputs, outputs and their gradients begin, and all rows."""
    sizes = [network[0].inputs, *(layer.units for layer in network)]
    starts = np.cumsum([0, *sizes, *sizes[1:]])  # values of all, then gradients of all but inputs
    values, count = starts[: len(sizes)], len(network)
    deltas = [-1, *starts[len(sizes) : len(sizes) + count]]  # nothing reads those of the inputs
    places = [
        (int(values[n]), int(values[n + 1]), int(deltas[n]), int(deltas[n + 1]))
        for n in range(count)
    ]
    return places, _aligned(int(starts[-1]))


def _aligned(rows: int) -> np.ndarray:
    """Zeros, float32 [rows, 64], that begin at a line of the cache, as the vectors assume."""
    size = rows * WIDTH * 4
    memory = np.zeros(size + _ALIGNED, np.uint8)
    start = -memory.ctypes.data % _ALIGNED
    return memory[start : start + size].view(np.float32).reshape(rows, WIDTH)


def _inputs(examples: Examples) -> tuple[np.ndarray, ...]:
    """Images and numbers, of which one is empty, and the moments, as the loop takes them."""
    flat = examples.inputs.reshape(len(examples.inputs), -1)
    raw = flat.dtype == np.uint8
    images = flat if raw else np.zeros((0, 1), np.uint8)
    numbers = np.zeros((0, 1), np.float32) if raw else flat.astype(np.float32, copy=False)
    moments = (x.astype(np.float32, copy=False) for x in (examples.mean, examples.inverse_std))
    return tuple(map(_fixed, (images, numbers, *moments)))


def _targets(targets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Labels and numbers, of which one is empty, as the loop takes them."""
    classes = targets.dtype.kind in "iu"
    labels = targets.astype(np.int32, copy=False) if classes else np.zeros(0, np.int32)
    rows = np.zeros((0, 1)) if classes else targets.reshape(len(targets), -1)
    return _fixed(labels), _fixed(rows.astype(np.float32, copy=False))


def _fixed(array: np.ndarray) -> np.ndarray:
    """The array in C order and read-only: another kind would compile the loop once more."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
