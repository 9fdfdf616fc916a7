"""The convolutional networks of FakeLab in numpy, with kernels of one to four axes and BatchNorm.

A 3x3 convolution, BatchNorm and ReLU; then, where the weights have it, a convolution of width 3
along the row of all positions, ReLU and a factor for each channel; then a dense layer. Functions
take weights and statistics in one mapping. BatchNorm normalises by the batch in derivatives, and
by its statistics in measurements and in the synaptic flow.
"""

from collections.abc import Mapping

import numpy as np

from ltx.core.prunable import Axis, Channels, Weight
from ltx.core.run import Metrics

Arrays = Mapping[str, np.ndarray]
FILTERS, MIXED = 6, 5
_EPSILON = 1e-3
_CONV, _MIX, _FACTOR, _OUT = "conv/kernel", "mix/kernel", "factor/kernel", "output/kernel"
_BIAS = "output/bias"
_GAMMA, _BETA, _MEAN, _VARIANCE = (
    f"norm/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")
)
_COMPLEX_STEP = 1e-30


def _patches(values: np.ndarray) -> np.ndarray:
    """[n, h, w, c] to [n, h, w, 3, 3, c], padded by zeros."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
    _, height, width, _ = values.shape
    rows = [padded[:, i : i + height] for i in range(3)]
    return np.stack(
        [np.stack([row[:, :, j : j + width] for j in range(3)], axis=3) for row in rows], axis=3
    )


def _windows(row: np.ndarray) -> np.ndarray:
    """[n, l, c] to [n, l, 3, c], padded by zeros."""
    padded = np.pad(row, ((0, 0), (1, 1), (0, 0)))
    return np.stack([padded[:, i : i + row.shape[1]] for i in range(3)], axis=2)


def _unwindow(slopes: np.ndarray) -> np.ndarray:
    """The transpose of `_windows`: [n, l, 3, c] to [n, l, c]."""
    n, length, _, count = slopes.shape
    padded = np.zeros((n, length + 2, count), slopes.dtype)
    for i in range(3):
        padded[:, i : i + length] += slopes[:, :, i]
    return padded[:, 1:-1]


class _Pass:
    """One forward pass, and its derivatives; with `batch` BatchNorm normalises by the batch."""

    def __init__(self, arrays: Arrays, images: np.ndarray, *, batch: bool) -> None:
        self.arrays, self.batch = arrays, batch
        self.patches = _patches(images)
        self.convolved = np.einsum("nhwijc,ijcf->nhwf", self.patches, arrays[_CONV])
        self.mean, variance = arrays[_MEAN], arrays[_VARIANCE]
        if batch:
            self.mean = self.convolved.mean(axis=(0, 1, 2))
            # Not `var`, which is not analytic in complex numbers.
            variance = ((self.convolved - self.mean) ** 2).mean(axis=(0, 1, 2))
        self.variance = variance
        self.scale = 1 / np.sqrt(variance + variance.real.dtype.type(_EPSILON))
        self.normal = (self.convolved - self.mean) * self.scale
        self.before = self.normal * arrays[_GAMMA] + arrays[_BETA]
        hidden = self.before * (self.before.real > 0)
        self.row = hidden.reshape(len(images), -1, FILTERS)
        last = self.row
        if _MIX in arrays:
            self.windows = _windows(self.row)
            self.mixed = np.einsum("nlic,icg->nlg", self.windows, arrays[_MIX])
            self.rectified = self.mixed * (self.mixed.real > 0)
            last = self.rectified * arrays[_FACTOR]
        self.flat = last.reshape(len(images), -1)
        self.logits = self.flat @ arrays[_OUT] + arrays[_BIAS]

    def slopes(self, error: np.ndarray) -> dict[str, np.ndarray]:
        """The derivatives of the sum of `error` times the logits."""
        arrays = self.arrays
        result = {_OUT: self.flat.T @ error, _BIAS: error.sum(axis=0)}
        back = (error @ arrays[_OUT].T).reshape(*self.row.shape[:2], -1)
        if _MIX in arrays:
            result[_FACTOR] = (back * self.rectified).sum(axis=(0, 1))
            back = back * arrays[_FACTOR] * (self.mixed.real > 0)
            result[_MIX] = np.einsum("nlic,nlg->icg", self.windows, back)
            back = _unwindow(np.einsum("nlg,icg->nlic", back, arrays[_MIX]))
        back = back.reshape(self.before.shape) * (self.before.real > 0)
        result[_BETA] = back.sum(axis=(0, 1, 2))
        result[_GAMMA] = (back * self.normal).sum(axis=(0, 1, 2))
        back = back * arrays[_GAMMA]
        if self.batch:
            along = (back * self.normal).mean(axis=(0, 1, 2))
            back = back - back.mean(axis=(0, 1, 2)) - self.normal * along
        result[_CONV] = np.einsum("nhwijc,nhwf->ijcf", self.patches, back * self.scale)
        return result


def _logs(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.real.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def gradients(
    arrays: Arrays, images: np.ndarray, labels: np.ndarray, temperature: float = 1.0
) -> dict[str, np.ndarray]:
    """The derivative of the mean cross-entropy of the logits divided by `temperature`."""
    forward = _Pass(arrays, images, batch=True)
    error = np.exp(_logs(forward.logits / np.float32(temperature)))
    error[np.arange(len(labels)), labels] -= 1
    return forward.slopes(error / np.float32(len(labels) * temperature))


def hessian_times(
    vector: Arrays, arrays: Arrays, images: np.ndarray, labels: np.ndarray, temperature: float
) -> dict[str, np.ndarray]:
    """The derivative of the kernels' `gradients` along `vector`, by a complex step.

    Reference: Squire & Trapp, Using Complex Variables to Estimate Derivatives of Real Functions,
    https://doi.org/10.1137/S003614459631241X
    """
    moved = {
        name: array.astype(np.complex128) + 1j * _COMPLEX_STEP * vector.get(name, 0.0)
        for name, array in arrays.items()
    }
    slopes = gradients(moved, images.astype(np.float64), labels, temperature)
    kind = arrays[_OUT].dtype
    return {name: (slopes[name].imag / _COMPLEX_STEP).astype(kind) for name in vector}


def synaptic_flow(arrays: Arrays, images: np.ndarray) -> dict[str, np.ndarray]:
    """The derivative of the summed logits for these images, with absolute arrays."""
    arrays = {name: np.abs(array) for name, array in arrays.items()}
    forward = _Pass(arrays, images.astype(arrays[_OUT].dtype), batch=False)
    slopes = forward.slopes(np.ones_like(forward.logits))
    return {name: slopes[name] for name in arrays if name.endswith("kernel")}


def batch_statistics(arrays: Arrays, images: np.ndarray) -> dict[str, np.ndarray]:
    """The mean and the variance of the batch, by the names of the statistics."""
    forward = _Pass(arrays, images, batch=True)
    return {_MEAN: forward.mean, _VARIANCE: forward.variance}


def measured(arrays: Arrays, images: np.ndarray, labels: np.ndarray) -> Metrics:
    """Mean loss and accuracy."""
    logs = _logs(_Pass(arrays, images, batch=False).logits)
    loss = -logs[np.arange(len(labels)), labels].mean()
    return Metrics(float(loss), float((logs.argmax(axis=1) == labels).mean()))


class ConvNetwork:
    """The network for images [n, *image]; with `ranks` it has kernels of one and three axes too."""

    def __init__(self, image: tuple[int, int, int], classes: int, *, ranks: bool) -> None:
        self.image, self.classes, self.ranks = image, classes, ranks

    def shaped(self, inputs: np.ndarray) -> np.ndarray:
        """The inputs as the network takes them."""
        return inputs.reshape(-1, *self.image)

    @property
    def prunable(self) -> tuple[Weight, ...]:
        size, last = self.image[0] * self.image[1], MIXED if self.ranks else FILTERS
        middle = (
            Weight(_MIX, (3, FILTERS, MIXED), kind="conv", uses=size),
            Weight(_FACTOR, (MIXED,), uses=size),
        )
        return (
            Weight(_CONV, (3, 3, self.image[2], FILTERS), kind="conv", uses=size),
            *(middle if self.ranks else ()),
            Weight(_OUT, (size * last, self.classes), is_output=True),
        )

    @property
    def channels(self) -> tuple[Channels, ...]:
        size = self.image[0] * self.image[1]
        read = Axis(_MIX, 1, FILTERS) if self.ranks else Axis(_OUT, 0, FILTERS, outer=size)
        written, followers = Axis(_CONV, 3, FILTERS), (_BETA, _MEAN, _VARIANCE)
        first = Channels(FILTERS, (written,), (read,), (_GAMMA,), followers)
        if not self.ranks:
            return (first,)
        factor = Axis(_FACTOR, 0, MIXED)
        read = Axis(_OUT, 0, MIXED, outer=size)
        return (first, Channels(MIXED, (Axis(_MIX, 2, MIXED), factor), (factor, read)))

    def others(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The initial weights that are not prunable, and the initial statistics."""
        weights = {_GAMMA: np.ones(FILTERS), _BETA: np.zeros(FILTERS)}
        weights[_BIAS] = np.zeros(self.classes)
        return weights, {_MEAN: np.zeros(FILTERS), _VARIANCE: np.ones(FILTERS)}

    gradients = staticmethod(gradients)
    hessian_times = staticmethod(hessian_times)
    batch_statistics = staticmethod(batch_statistics)
    measured = staticmethod(measured)
    synaptic_flow = staticmethod(synaptic_flow)

    def effective(self, mask: Arrays) -> dict[str, np.ndarray]:
        """The survivors on a path of survivors from the images to the logits."""
        # With weights of 1 and 0 and nothing else, the flow counts paths.
        weights, statistics = self.others()
        counted = {name: keep.astype(np.float64) for name, keep in mask.items()}
        ones = np.ones((1, *self.image))
        flow = synaptic_flow({**weights, **statistics, **counted}, ones)
        return {name: keep & (flow[name] > 0) for name, keep in mask.items()}
