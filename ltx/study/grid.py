"""Grid: one finder under every combination of some settings, as one entry of Study.finders."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from ltx.core.errors import UsageError, unknown
from ltx.core.finder import Finder


@dataclasses.dataclass(frozen=True)
class Grid:
    """An entry of Study.finders that stands for several finders.

    `finder` is the class, in gin `@imp` without parentheses. `settings` maps each setting that
    varies to its values: a list of names and numbers, or a mapping from a word to any value. The
    other settings of the class are those bound in gin, or its defaults. Each finder is labelled by
    the grid's label and the words of its values in order, as in "from digits mask".
    """

    finder: type[Finder] | None = None
    settings: Mapping[str, object] = dataclasses.field(default_factory=dict)
    # The finders by their words; built eagerly, while the grid's gin scope is active.
    variants: Mapping[str, Finder] = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        cls = self.finder
        if not isinstance(cls, type) or not issubclass(cls, Finder):
            raise UsageError(
                f"Grid.finder: expected a finder's class, as in @imp without parentheses, got"
                f" {cls!r}"
            )
        if not isinstance(self.settings, Mapping) or not self.settings:
            raise UsageError(
                "Grid.settings: expected values by setting, as in {'density': [0.1, 0.3]}, got"
                f" {self.settings!r}"
            )
        known = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
        for name in self.settings:
            if name not in known:
                raise unknown(f"setting of {cls.__name__} in Grid.settings", name, known)
        axes = [_named_values(name, values) for name, values in self.settings.items()]
        variants: dict[str, Finder] = {}
        for combination in itertools.product(*axes):
            words = " ".join(word for word, _ in combination if word)
            if words in variants:
                raise UsageError(
                    f"Grid.settings: two finders would be labelled {words!r}; give each value a"
                    " word of its own"
                )
            values = (value for _, value in combination)
            variants[words] = cls(**dict(zip(self.settings, values, strict=True)))
        object.__setattr__(self, "variants", variants)

    def finders(self, label: str) -> dict[str, Finder]:
        """The finders by their labels, each of which starts with the grid's label."""
        return {f"{label} {words}".strip(): finder for words, finder in self.variants.items()}


def _named_values(name: str, values: object) -> list[tuple[str, object]]:
    """The values of one setting, each after its word."""
    if isinstance(values, Mapping):
        pairs = [(str(word), value) for word, value in values.items()]
    elif isinstance(values, Sequence) and not isinstance(values, str):
        pairs = [(str(value), value) for value in values]
        for _, value in pairs:
            if not isinstance(value, str | int | float):
                raise UsageError(
                    f"Grid.settings[{name!r}]: expected names and numbers in a list, got {value!r};"
                    " give it a word, as in {'word': value}"
                )
    else:
        pairs = []
    if not pairs:
        raise UsageError(
            f"Grid.settings[{name!r}]: expected at least one value, in a list or by words, got"
            f" {values!r}"
        )
    return pairs
