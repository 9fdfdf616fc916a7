"""Task: what is trained, which is a data set, a model and a recipe."""

import dataclasses
from collections.abc import Mapping

from ltx import identity
from ltx.checks import check_choice
from ltx.errors import UsageError
from ltx.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set, a model and a recipe.

    `model` is a name that `ltx models` lists, or the dotted path of a function that returns an
    uncompiled tf_keras model. `image` (height, width, channels) converts the pictures, by `fit`
    ("resize" or "pad"); None leaves them as they are. `validation` is the count or the share of
    the training examples that is held out by `split_seed`.
    """

    data: str = "digits"
    model: str = "lenet_300_100"
    recipe: Recipe = Recipe()
    model_args: Mapping[str, object] = dataclasses.field(default_factory=dict)
    image: tuple[int, int, int] | None = None
    fit: str = "resize"
    validation: int | float = 0.1
    split_seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, Recipe):
            raise UsageError(f"Task.recipe: expected @Recipe(), got {self.recipe!r}")
        check_choice("Task.fit", self.fit, ("resize", "pad"))
        for name in ("data", "model"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise UsageError(f"Task.{name}: expected a name, got {getattr(self, name)!r}")
        if self.image is not None:
            image = tuple(self.image) if isinstance(self.image, list | tuple) else ()
            if len(image) != 3 or not all(isinstance(n, int) and n > 0 for n in image):
                raise UsageError(
                    f"Task.image: expected (height, width, channels), got {self.image!r}"
                )
            object.__setattr__(self, "image", image)

    @property
    def id(self) -> str:
        return identity.identity(self)

    @property
    def label(self) -> str:
        """The name for people, as in `digits/lenet_300_100`."""
        return f"{self.data}/{self.model.rpartition('.')[2]}"
