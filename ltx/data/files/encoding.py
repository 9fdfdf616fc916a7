"""Encoding: number and category columns as one array of floats, measured on training rows."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.validation import check_choice
from ltx.data.files import column_types
from ltx.data.input_values import Encoder, Rows
from ltx.data.target_values import in_order

_WIDEST = 10_000  # columns of a one-hot category


@dataclasses.dataclass(frozen=True)
class TableEncoder:
    """Numbers as they are, gaps filled with the mean; a column of 0 and 1 for each category.

    Categories are those of the training rows, by name; of one that they lack all columns are 0.
    """

    data: str
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    order: tuple[str, ...]

    def __call__(
        self, inputs: Mapping[str, np.ndarray], kept: Rows
    ) -> tuple[np.ndarray, np.ndarray]:
        parts, scaled = [], []
        for name in self.order:
            array = inputs[name]
            part = self._number(name, array, kept) if name in self.numbers else None
            if part is None:
                part = self._one_hot(name, array, kept)
            parts.append(part)
            scaled += [name in self.numbers] * part.shape[1]
        return np.concatenate(parts, axis=1), np.array(scaled, bool)

    def _number(self, name: str, array: np.ndarray, kept: Rows) -> np.ndarray:
        if not np.isfinite(array[kept]).any():
            raise UsageError(
                f"data set {self.data!r}: column {name!r} has no finite value among the training"
                " examples; leave it out by Task.data_args inputs"
            )
        if np.isinf(array).any():
            raise UsageError(
                f"data set {self.data!r}: column {name!r} is infinite in row"
                f" {int(np.argmax(np.isinf(array))) + 1}; correct it"
            )
        mean = np.nanmean(array[kept])
        result: np.ndarray = np.where(np.isnan(array), mean, array)[:, None]
        return result

    def _one_hot(self, name: str, array: np.ndarray, kept: Rows) -> np.ndarray:
        names = in_order(set(array[kept].tolist()))
        if len(names) > _WIDEST:
            raise UsageError(
                f"data set {self.data!r}: category {name!r} has {len(names):,} values, expected at"
                f" most {_WIDEST:,}; leave it out by Task.data_args inputs"
            )
        numbers = {value: n for n, value in enumerate(names)}
        index = np.array([numbers.get(value, -1) for value in array.tolist()])
        return (index[:, None] == np.arange(len(names))).astype(np.float64)


def inputs(
    data: str, values: Mapping[str, np.ndarray], kinds: Mapping[str, str], missing: str
) -> tuple[dict[str, np.ndarray], Encoder | None]:
    """The input columns, and the encoder of number and category columns; None for other kinds."""
    check_choice("Task.data_args: missing", missing, ("refuse", "mean"))
    of = {kind: [name for name in values if kinds[name] == kind] for kind in set(kinds.values())}
    texts, arrays = of.get("text", []), of.get("array", [])
    if texts and len(values) > 1:
        raise UsageError(
            f"data set {data!r}: column {texts[0]!r} is a text, which stands alone; declare it in"
            f" Task.data_args types as 'category', or name other inputs than {', '.join(values)}"
        )
    if arrays and len(arrays) < len(values):
        other = next(name for name in values if name not in arrays)
        raise UsageError(
            f"data set {data!r}: column {arrays[0]!r} holds arrays and {other!r} does not; name one"
            " of the two in Task.data_args inputs"
        )
    if texts or arrays:
        return dict(values), None
    numbers = tuple(of.get("number", []))
    if missing == "refuse":
        for name in numbers:
            column_types.refuse_missing(data, name, values[name])
    categories = tuple(of.get("category", []))
    return dict(values), TableEncoder(data, numbers, categories, tuple(values))
