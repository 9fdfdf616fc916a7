"""Task: what is trained, which is a data set, a model and a recipe."""

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from ltx.core import identity
from ltx.core.errors import UsageError, shown
from ltx.core.objectives.classification import Classification
from ltx.core.objectives.objective import Objective
from ltx.core.recipe import Recipe
from ltx.core.validation import check_choice, check_count, check_number, check_type

_LONGEST = 500  # characters of a name, which is part of a path
_LARGEST = 2**24  # values of one image: the data set has thousands of them
CORRUPTIONS = ("none", "random_labels", "shuffled_pixels")


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set, a model and a recipe.

    `data` is a data set of TFDS, one that a plugin offers, SCHEME:WHAT as in "csv:FILE", or the
    dotted path of a function that returns ltx.Arrays. `model` is a name that `ltx models` lists, or
    the dotted path of a function that returns an uncompiled tf_keras model. A gin file may name
    paths in the packages that --trust lists.
    `image` (height, width, channels) converts the images, by `fit` ("resize" or "pad"); None
    keeps their own size. `validation` is the count or the share of
    the training examples that is held out by `split_seed`; `subset` is the count or the share of
    the others that training uses, stratified by class and normalised like the whole. `classes`
    keeps only these classes, renumbered in this order. `corrupt` trains a finder on corrupted
    data, as a sanity check: "random_labels" permutes the labels of the training examples and,
    separately, of the validation examples; "shuffled_pixels" permutes the pixels within each of
    their images. All are drawn by `split_seed`. Validation and test are never subsets, and the
    test is never corrupted. `head` names kernels of the layers that make the outputs, as in
    ("head/kernel",); it is needed only where the model's operations do not tell. `objective` is the
    loss and the metric. `test` is the count or the share of the examples that become the test split
    of a set without one. `data_args` are arguments of the data set's loader, `preprocessing` says
    how numbers are scaled and texts are numbered.
    """

    data: str = "digits"
    model: str = "lenet_300_100"
    recipe: Recipe = Recipe()
    model_args: Mapping[str, object] = dataclasses.field(default_factory=dict)
    image: tuple[int, int, int] | None = None
    fit: str = "resize"
    validation: int | float = 0.1
    split_seed: int = 0
    subset: int | float = 1.0
    corrupt: str = "none"
    classes: tuple[int, ...] = ()
    head: tuple[str, ...] = ()
    objective: Objective = Classification()
    test: int | float = 0
    data_args: Mapping[str, object] = dataclasses.field(default_factory=dict)
    preprocessing: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, Recipe):
            raise UsageError(f"Task.recipe: expected @Recipe(), got {shown(self.recipe)}")
        check_type("Task.objective", self.objective, Objective, "@Regression()")
        check_choice("Task.fit", self.fit, ("resize", "pad"))
        check_choice("Task.corrupt", self.corrupt, CORRUPTIONS)
        check_subset("Task.subset", self.subset)
        object.__setattr__(self, "classes", _checked_classes(self.classes))
        object.__setattr__(self, "head", _checked_head(self.head))
        for name in ("data", "model"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise UsageError(f"Task.{name}: expected a name, got {shown(getattr(self, name))}")
            if len(getattr(self, name)) > _LONGEST:
                raise UsageError(
                    f"Task.{name}: expected a name of at most {_LONGEST} characters, got"
                    f" {shown(getattr(self, name))}"
                )
        check_number(
            "Task.validation", _plain(self.validation), least=0
        )  # the rest is known with the data
        check_count("Task.split_seed", _plain(self.split_seed), least=0)
        check_number("Task.test", _plain(self.test), least=0)
        for name in ("model_args", "data_args", "preprocessing"):
            _check_arguments(f"Task.{name}", getattr(self, name))
        if self.image is not None:
            object.__setattr__(self, "image", _checked_image(self.image))

    @property
    def id(self) -> str:
        return identity.identity(self)

    @property
    def label(self) -> str:
        """The name for people, as in `digits/lenet_300_100` or `digits[0-4]/lenet_300_100`."""
        some = f"[{_ranges(self.classes)}]" if self.classes else ""
        return f"{self.data}{some}/{self.model.rpartition('.')[2]}"


def _plain(value: Any) -> Any:
    """The number itself, of numpy's scalars."""
    return value.item() if isinstance(value, np.generic) else value


def _check_arguments(name: str, given: object) -> None:
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise UsageError(
            f"{name}: expected arguments by name, as in {{'width': 2}}, got {shown(given)}"
        )
    try:
        identity.identity(given)
    except TypeError as error:
        raise UsageError(f"{name}: {error}") from error


def _checked_image(given: object) -> tuple[int, int, int]:
    """The shape as a tuple; UsageError unless it is one of an image that fits into memory."""
    image = tuple(given) if isinstance(given, list | tuple) else ()
    if len(image) != 3 or not all(
        isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in image
    ):
        raise UsageError(f"Task.image: expected (height, width, channels), got {shown(given)}")
    if math.prod(image) > _LARGEST:
        raise UsageError(
            f"Task.image: expected at most {_LARGEST:,} values, as of (4096, 4096, 1), got"
            f" {shown(given)}; every image of the data set is converted to that shape"
        )
    return image


def check_subset(name: str, value: object) -> None:
    """Refuse what is neither a share in (0, 1] nor a count of at least 2."""
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if good and isinstance(value, numbers.Integral):
        good = int(value) > 1  # 1 and 1.0 are one setting to an identity, and 1.0 is everything
    elif good:
        good = 0 < float(value) <= 1  # type: ignore[arg-type]
    if not good:
        raise UsageError(
            f"{name}: expected a share above 0 and up to 1.0, or a count of at least 2 examples,"
            f" got {shown(value)}"
        )


def _checked_head(given: object) -> tuple[str, ...]:
    """The names of kernels as a tuple; UsageError for anything else."""
    names = tuple(given) if isinstance(given, list | tuple) else ()
    texts = all(isinstance(name, str) and name for name in names)
    if not isinstance(given, list | tuple) or not texts or len(set(names)) < len(names):
        raise UsageError(
            f"Task.head: expected different names of kernels, as in ('head/kernel',), got {given!r}"
        )
    return names


def _checked_classes(given: object) -> tuple[int, ...]:
    """The classes as a tuple; UsageError unless they are at least two different ones, or none."""
    classes = tuple(given) if isinstance(given, list | tuple | range) else (given,)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in classes):
        raise UsageError(
            f"Task.classes: expected class numbers, as in (0, 1, 2), got {shown(given)}"
        )
    if len(set(classes)) < len(classes):
        twice = next(n for n in classes if classes.count(n) > 1)
        raise UsageError(f"Task.classes: expected different classes, got {twice} twice")
    if len(classes) == 1:
        raise UsageError(f"Task.classes: expected at least 2 classes, got {shown(given)}")
    return classes


def _ranges(classes: tuple[int, ...]) -> str:
    """The classes in their order, three and more that follow one another as 0-4."""
    runs: list[list[int]] = []
    for n in classes:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    short = (run if len(run) < 3 else [f"{run[0]}-{run[-1]}"] for run in runs)
    return ",".join(str(part) for run in short for part in run)
