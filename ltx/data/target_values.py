"""Target values: class names numbered, and targets checked to be complete."""

import re
from collections.abc import Iterable

import numpy as np

from ltx.core.errors import UsageError
from ltx.data.preprocessing import as_texts
from ltx.data.split import frozen


def encoded(
    data: str, targets: np.ndarray, is_test: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...], str]:
    """Class numbers in place of names, in the names' order."""
    if targets.ndim > 1:
        raise UsageError(f"data set {data!r}: expected one name an example as target")
    if any(value is None or value == "" for value in targets.tolist()):
        row = next(n for n, value in enumerate(targets.tolist()) if value in (None, ""))
        raise UsageError(
            f"data set {data!r}: the target of example {row} is missing; drop such examples"
        )
    texts = as_texts(data, targets)
    names = in_order({text for text, test in zip(texts, is_test, strict=True) if not test})
    numbers = {name: n for n, name in enumerate(names)}
    if new := next((text for text in texts if text not in numbers), None):
        raise UsageError(f"data set {data!r}: class {new!r} is only in the test split")
    shown = ", ".join(f"{n} {name!r}" for name, n in list(numbers.items())[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    note = f"targets are names, numbered {shown}{more}"
    return np.array([numbers[text] for text in texts], np.int32), tuple(names), note


def in_order(names: Iterable[str]) -> list[str]:
    """Names sorted, by number if all of them are whole numbers."""
    several = list(names)
    if all(re.fullmatch(r"-?[0-9]{1,18}", name) for name in several):
        return sorted(several, key=lambda name: (int(name), name))
    return sorted(several)


def as_numbers(data: str, targets: np.ndarray) -> np.ndarray:
    """Targets as int32 class numbers or float32; UsageError for what is missing or negative."""
    if targets.dtype.kind == "f":
        bad = ~np.isfinite(targets.reshape(len(targets), -1)).all(axis=1)
        if bad.any():
            raise UsageError(
                f"data set {data!r}: {int(bad.sum())} of {len(targets)} targets are missing or"
                f" not finite, the first in example {int(bad.argmax())}; drop or fill them"
            )
        return frozen(targets.astype(np.float32))
    if targets.dtype.kind not in "biu":
        raise UsageError(
            f"data set {data!r}: expected targets that are numbers or names, got dtype"
            f" {targets.dtype}"
        )
    if targets.size and not 0 <= int(targets.min()) <= int(targets.max()) < 2**31:
        raise UsageError(
            f"data set {data!r}: expected class numbers from 0, got {int(targets.min())} to"
            f" {int(targets.max())}; floating targets are for regression"
        )
    return frozen(targets.astype(np.int32))


def class_count(targets: np.ndarray) -> int:
    return int(targets.max(initial=-1)) + 1 if targets.dtype.kind == "i" else 0


def check_variety(data: str, targets: np.ndarray) -> None:
    if targets.ndim == 1 and len(np.unique(targets)) < 2:
        raise UsageError(
            f"data set {data!r}: all training targets are {targets[0]}; there is nothing to learn"
        )
