"""Input values: numbers scaled, texts and table columns encoded, all by the training examples."""

from collections.abc import Callable, Mapping

import numpy as np

from ltx.core.errors import UsageError
from ltx.data import preprocessing
from ltx.data.dataset import DataSpec, InputSpec, Specs
from ltx.data.preprocessing import Preprocessing, Vocabulary
from ltx.data.split import Inputs, frozen

Rows = np.ndarray

# From inputs by name and the rows of the training examples: floats [n, columns], and which of the
# columns are scaled, bool [columns].
Encoder = Callable[[Mapping[str, np.ndarray], Rows], tuple[np.ndarray, np.ndarray]]


def prepared(
    spec: DataSpec, inputs: Inputs, kept: Rows, settings: Preprocessing, encoder: Encoder | None
) -> tuple[Specs, Inputs]:
    """The inputs as the model is fed with them, and their descriptions.

    What is measured for that, moments and vocabularies, is measured on the rows `kept`.
    """
    if encoder is not None:
        return _encoded(spec, inputs, kept, settings, encoder)
    if isinstance(inputs, Mapping):
        pairs = {k: _prepared_one(spec, a, kept, settings, alone=False) for k, a in inputs.items()}
        return {k: pair[0] for k, pair in pairs.items()}, {k: pair[1] for k, pair in pairs.items()}
    return _prepared_one(spec, inputs, kept, settings, alone=True)


def _prepared_one(
    spec: DataSpec, array: np.ndarray, kept: Rows, settings: Preprocessing, alone: bool
) -> tuple[InputSpec, np.ndarray]:
    kind = array.dtype.kind
    if kind in "OSU" and spec.image is None:
        return _text(spec, array, kept, settings)
    if array.dtype == np.uint8 and array.ndim == 4 and alone:
        if spec.image is not None and spec.image != array.shape[1:]:
            raise UsageError(
                f"Task.image: {spec.data!r} has images of {array.shape[1:]}, which are not"
                " converted; leave it out"
            )
        return InputSpec(array.shape[1:]), frozen(np.array(array))
    if spec.image is not None:
        raise UsageError(f"Task.image: {spec.data!r} holds no images; leave it out")
    if kind in "iu" and array.dtype != np.uint8:
        return _tokens(spec, array)
    if kind not in "fbu":
        raise UsageError(
            f"data set {spec.data!r}: expected inputs that are numbers or texts, got {array.dtype}"
        )
    if not np.isfinite(array).all():
        row = int(np.argmax(~np.isfinite(array.reshape(len(array), -1)).all(axis=1)))
        raise UsageError(
            f"data set {spec.data!r}: an input of example {row} is missing or not finite; drop or"
            " fill such examples"
        )
    array = array[:, None] if array.ndim == 1 else array
    if settings.scaling == "standard":
        array = preprocessing.scaled(array, *preprocessing.moments(array[kept]))
    return InputSpec(array.shape[1:], "float32"), frozen(np.array(array, np.float32))


def _text(
    spec: DataSpec, array: np.ndarray, kept: Rows, settings: Preprocessing
) -> tuple[InputSpec, np.ndarray]:
    texts = preprocessing.as_texts(spec.data, array)
    vocabulary = Vocabulary([texts[row] for row in kept], settings)
    if not vocabulary.tokens:
        raise UsageError(f"data set {spec.data!r}: all texts of the training split are empty")
    length = settings.length or vocabulary.longest(texts)
    encoded = vocabulary.encode(spec.data, texts, length)
    return InputSpec((length,), "int32", len(vocabulary)), encoded


def _tokens(spec: DataSpec, array: np.ndarray) -> tuple[InputSpec, np.ndarray]:
    if array.min() < 0 or array.max() >= 2**31:
        raise UsageError(
            f"data set {spec.data!r}: whole-number inputs are tokens, numbered from 0, got"
            f" {array.min()} to {array.max()}; store numbers as floats"
        )
    result = frozen(array.astype(np.int32))
    return InputSpec(array.shape[1:], "int32", int(array.max()) + 1), result


def _encoded(
    spec: DataSpec, inputs: Inputs, kept: Rows, settings: Preprocessing, encoder: Encoder
) -> tuple[InputSpec, np.ndarray]:
    if spec.image is not None:
        raise UsageError(f"Task.image: {spec.data!r} holds no images; leave it out")
    array, scaled = encoder(inputs, kept)
    if settings.scaling == "standard":
        mean, std = preprocessing.moments(array[kept])
        array = preprocessing.scaled(array, np.where(scaled, mean, 0), np.where(scaled, std, 1))
    return InputSpec(array.shape[1:], "float32"), frozen(np.array(array, np.float32))
