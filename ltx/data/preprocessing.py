"""Preprocessing: numbers scaled and texts numbered, by the training split alone."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ltx.core.errors import UsageError, unknown
from ltx.core.validation import check_choice, check_count
from ltx.data.split import frozen

PADDING, UNKNOWN = 0, 1
FIRST_TOKEN = 2


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What `Task.preprocessing` may set.

    `scaling` of numbers: "standard", mean 0 and deviation 1 by column, or by channel (the last
    axis) of signals and images, measured on the training examples; or "none". `targets` of a
    regression: "none" or "standard"; metrics are in the original unit. `tokens` of texts:
    "characters" or "words" between blanks. `length`: how many tokens an example has; shorter texts
    are padded with 0, longer ones refused unless `truncate`; 0 is the longest text of the set.
    `vocabulary`: at most this many tokens, the most frequent of the training texts, besides padding
    (0) and unknown (1); 0 is all.
    """

    scaling: str = "standard"
    targets: str = "none"
    tokens: str = "characters"
    length: int = 0
    truncate: bool = False
    vocabulary: int = 0

    def __post_init__(self) -> None:
        check_choice("Task.preprocessing: scaling", self.scaling, ("standard", "none"))
        check_choice("Task.preprocessing: targets", self.targets, ("standard", "none"))
        check_choice("Task.preprocessing: tokens", self.tokens, ("characters", "words"))
        check_count("Task.preprocessing: length", self.length, least=0, most=2**20)
        check_count("Task.preprocessing: vocabulary", self.vocabulary, least=0, most=2**24)
        if not isinstance(self.truncate, bool):
            raise UsageError(
                f"Task.preprocessing: truncate: expected True or False, got {self.truncate!r}"
            )

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> "Preprocessing":
        """These settings; UsageError for one that does not exist."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in settings:
            if name not in known:
                raise unknown("setting of Task.preprocessing", name, known)
        return cls(**settings)  # type: ignore[arg-type]


def moments(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation by column of [n, columns], else by the last axis; 1 for a deviation of 0.

    Of a vector [n] both are single numbers.
    """
    axes = tuple(range(max(1, array.ndim - 1)))
    mean = array.mean(axis=axes, dtype=np.float64)
    std = array.std(axis=axes, dtype=np.float64)
    return mean, np.where(std == 0, 1.0, std)


def scaled(array: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The array less the mean over the deviation, float32."""
    return frozen(((array.astype(np.float64) - mean) / std).astype(np.float32))


class Vocabulary:
    """Numbers tokens from 2 by falling frequency in the training texts, equals in their order."""

    def __init__(self, texts: Sequence[str], settings: Preprocessing) -> None:
        self._settings = settings
        counts = Counter(token for text in texts for token in self._tokens(text))
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        self.tokens = tuple(ranked[: settings.vocabulary or None])
        self._numbers = {token: n for n, token in enumerate(self.tokens, FIRST_TOKEN)}

    def __len__(self) -> int:
        """How many numbers there are, padding and unknown among them."""
        return len(self.tokens) + FIRST_TOKEN

    def longest(self, texts: Sequence[str]) -> int:
        """The largest number of tokens of a text, at least 1."""
        return max((len(self._tokens(text)) for text in texts), default=1) or 1

    def encode(self, name: str, texts: Sequence[str], length: int) -> np.ndarray:
        """The texts as int32 [n, length]; UsageError for a longer one unless it is cut."""
        result = np.full((len(texts), length), PADDING, np.int32)
        for row, text in enumerate(texts):
            numbers = [self._numbers.get(token, UNKNOWN) for token in self._tokens(text)]
            if len(numbers) > length and not self._settings.truncate:
                raise UsageError(
                    f"data set {name!r}: example {row} has {len(numbers)} {self._settings.tokens},"
                    f" expected at most {length}; raise 'length' in Task.preprocessing or set"
                    " 'truncate' to True"
                )
            result[row, : len(numbers)] = numbers[:length]
        return frozen(result)

    def _tokens(self, text: str) -> Sequence[str]:
        return text if self._settings.tokens == "characters" else text.split()


def as_texts(name: str, array: np.ndarray) -> list[str]:
    """The entries as strings; UsageError for bytes that are not UTF-8 and for anything else."""
    texts = []
    for row, entry in enumerate(array.tolist()):
        value = entry
        if isinstance(entry, bytes):
            try:
                value = entry.decode()
            except UnicodeDecodeError as error:
                raise UsageError(
                    f"data set {name!r}: example {row} is not UTF-8 ({error.reason} at byte"
                    f" {error.start}); convert the file"
                ) from error
        if not isinstance(value, str):
            raise UsageError(
                f"data set {name!r}: expected texts, got {value!r:.60} in example {row}"
            )
        texts.append(value)
    return texts
