"""Dataset: examples as arrays, split into training, validation and test."""

import dataclasses
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ltx.core import seal
from ltx.core.errors import UsageError, unknown
from ltx.core.objectives.objective import Objective, Targets
from ltx.core.task import Task
from ltx.data.split import Split, mapped

FITS = ("resize", "pad")

Image = tuple[int, int, int]


@dataclass(frozen=True)
class InputSpec:
    """One input of a model: the shape and dtype of an example, and how many tokens it chooses from.

    `dtype` is that of the stored array: "uint8" for raw images, which are normalised on the device,
    "float32" for numbers as the model sees them, "int32" for `tokens` numbered from 0.
    """

    shape: tuple[int, ...]
    dtype: str = "uint8"
    tokens: int = 0

    @property
    def fed(self) -> str:
        """The dtype in which the model gets it."""
        return "int32" if self.dtype == "int32" else "float32"


Specs = InputSpec | Mapping[str, InputSpec]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and targets with a validation split.

    `inputs` describes one example's inputs, an InputSpec or several by name; `targets` its targets.
    `mean` and `std` normalise raw images on the device, None for other data: float32 [channels]
    over all training images that are not held out, in raw 0..255 units; the std of a constant
    channel is 1. A subset has the mean and std of the whole, so that tickets found on it see the
    same inputs there. Floating targets are what training sees; times `target_std` plus
    `target_mean` they are in the data's own unit. `fingerprint` is a hash of inputs, targets and
    splits: data sets with equal fingerprints give equal training. `nbytes` is the size of the
    inputs of all splits, the test split included. `notes` are sentences on what was inferred.
    """

    name: str
    inputs: Specs
    targets: Targets
    train: Split
    validation: Split
    mean: np.ndarray | None
    std: np.ndarray | None
    fingerprint: str
    nbytes: int
    held_out: Split | None = dataclasses.field(repr=False)
    target_mean: np.ndarray | None = None
    target_std: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def test(self) -> Split:
        """The test split; UsageError while a finder searches, and for a copy without one."""
        seal.require_open(f"test split of {self.name!r}")
        if self.held_out is None:
            raise UsageError(
                f"test split of {self.name!r}: this copy has none; load the data set again"
            )
        return self.held_out

    def without_test(self) -> "Dataset":
        """The same data set without its test split."""
        return dataclasses.replace(self, held_out=None)

    def check(self, objective: Objective) -> None:
        """UsageError unless the objective is defined for the targets of every split."""
        objective.outputs(self.targets)
        for part in (self.train, self.validation, self.held_out):
            if part is not None:
                objective.check_targets(part.targets, self.targets)

    def in_original_unit(self, values: np.ndarray) -> np.ndarray:
        """Outputs or targets of a regression in the data's own unit, float64; others unchanged."""
        if self.target_mean is None or self.target_std is None:
            return values
        return values.astype(np.float64) * self.target_std + self.target_mean

    @property
    def classes(self) -> int:
        """The number of classes, 0 where targets are floating."""
        return self.targets.classes

    @property
    def input_shape(self) -> Any:
        """The shape of one example, or the shapes by name."""
        return mapped(lambda spec: spec.shape, self.inputs)

    @property
    def is_images(self) -> bool:
        return isinstance(self.inputs, InputSpec) and self.inputs.dtype == "uint8"

    @property
    def image(self) -> Image:
        """The shape of the images; UsageError for other data."""
        if not isinstance(self.inputs, InputSpec) or len(self.inputs.shape) != 3:
            raise UsageError(f"data set {self.name!r}: expected images, got {self.input_shape}")
        height, width, channels = self.inputs.shape
        return height, width, channels


@dataclass(frozen=True)
class DataSpec:
    """Which data set, in which image shape, and how its examples are split.

    The fields have the names and meanings of those of a Task. Raises UsageError for an invalid
    image shape, fit or seed.
    """

    data: str
    image: Image | None
    fit: str
    validation: int | float
    split_seed: int
    subset: int | float
    corrupt: str
    classes: tuple[int, ...]
    test: int | float = 0
    data_args: Mapping[str, object] = dataclasses.field(default_factory=dict)
    preprocessing: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.image is not None:
            object.__setattr__(self, "image", checked_image(self.image))
        if self.fit not in FITS:
            raise unknown("fit", self.fit, FITS)
        seed = self.split_seed
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
            raise UsageError(f"split_seed: expected an integer, got {seed!r}")
        if int(seed) < 0:
            raise UsageError(f"split_seed: expected 0 or more, got {seed}")
        object.__setattr__(self, "split_seed", int(seed))

    @classmethod
    def of(cls, task: Task) -> "DataSpec":
        """The data of a task."""
        return cls(**{field.name: getattr(task, field.name) for field in dataclasses.fields(cls)})


def checked_image(image: Any) -> Image:
    """The shape as three ints; UsageError if it is not (height, width, channels)."""
    valid = isinstance(image, (tuple, list)) and len(image) == 3
    if not valid or not all(isinstance(n, numbers.Integral) and int(n) > 0 for n in image):
        raise UsageError(f"image: expected (height, width, channels), got {image!r}")
    height, width, channels = (int(n) for n in image)
    return height, width, channels


def held_out_count(spec: DataSpec, examples: int, name: str = "validation") -> int:
    """How many of the training examples are held out, for validation or for the test."""
    value: Any = getattr(spec, name)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise UsageError(f"{name}: expected a number or a fraction, got {value!r}")
    whole = isinstance(value, int | np.integer)
    if not whole and not 0 < value < 1:
        raise UsageError(f"{name}: expected a fraction in (0, 1), got {value!r}")
    count = int(value) if whole else round(float(value) * examples)
    if not 1 <= count < examples:
        raise UsageError(
            f"{name}={value!r} holds out {count} of the {examples} training examples of "
            f"{spec.data!r}: expected 1 to {examples - 1}"
        )
    return count
