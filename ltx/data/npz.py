"""NumPy archives: a data set as the arrays of an .npz file."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ltx.core.errors import UsageError
from ltx.data.arrays import Arrays

_PARTS = ("inputs", "targets", "test_inputs", "test_targets", "classes")


def load(argument: str) -> Arrays:
    """`arrays:FILE.npz` with arrays `inputs` and `targets`, and `test_inputs` and `test_targets`.

    Several inputs are named `inputs/NAME` and `test_inputs/NAME`. `classes`, if it is there, names
    the classes.
    """
    path = Path(argument).expanduser()
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}  # one array of .npy has no files
    except FileNotFoundError:
        raise UsageError(f"data set 'arrays:{argument}': there is no file {path}") from None
    except (ValueError, EOFError, OSError, AttributeError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"data set 'arrays:{argument}': expected a file of numpy.savez whose arrays hold no"
            f" objects: {' '.join(str(error).split())}"
        ) from error
    unknown = [name for name in arrays if name.partition("/")[0] not in _PARTS]
    if unknown or "targets" not in arrays or _part(arrays, "inputs") is None:
        raise UsageError(
            f"data set 'arrays:{argument}': expected arrays inputs and targets, and of a test split"
            f" test_inputs and test_targets, got {', '.join(sorted(arrays)) or 'none'}"
        )
    return Arrays(
        inputs=_part(arrays, "inputs"),
        targets=arrays["targets"],
        test_inputs=_part(arrays, "test_inputs"),
        test_targets=arrays.get("test_targets"),
        classes=tuple(map(str, arrays["classes"])) if "classes" in arrays else (),
    )


def _part(arrays: dict[str, np.ndarray], name: str) -> Any:
    """One array, or several by name; None where there is none."""
    if name in arrays:
        return arrays[name]
    several = {k.partition("/")[2]: a for k, a in arrays.items() if k.startswith(f"{name}/")}
    return several or None
