"""Arrays: a data set of any kind as its loader returns it, and the Dataset made of it."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping

import numpy as np

from ltx.core import identity
from ltx.core.errors import UsageError
from ltx.core.objectives.objective import Targets
from ltx.data import images, input_values, preprocessing, sampling, target_values
from ltx.data.dataset import Dataset, DataSpec, InputSpec, held_out_count
from ltx.data.input_values import Encoder, Rows
from ltx.data.preprocessing import Preprocessing
from ltx.data.split import Inputs, Split, digest, frozen, leaves, mapped


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Training examples and, if the set has its own, test examples, as a loader returns them.

    `inputs` is one array [n, ...], or several by name: raw images are uint8 [n, height, width,
    channels], numbers floating, tokens whole numbers from 0, texts strings [n]. `targets` is [n] or
    [n, ...]: class numbers or the names of classes, else floating numbers. `classes` names classes
    that are given by number. `notes` are sentences on what the loader inferred; they are shown and
    are part of the data's identity. An `encoder` turns several inputs into the one array that a
    model sees, by what it measures on the training examples.
    """

    inputs: Inputs
    targets: np.ndarray
    test_inputs: Inputs | None = None
    test_targets: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    encoder: Encoder | None = None


def make_dataset(spec: DataSpec, arrays: Arrays) -> Dataset:
    """Split, scale and number the examples as the task says.

    In this order: only `spec.classes` are kept, `spec.test` of the examples become the test split
    unless the set has its own, `spec.validation` of the others are held out by `spec.split_seed`,
    scaling and vocabulary are measured on the rest, of which `spec.subset` is trained on; training
    and validation are corrupted. Splits by class number are stratified.
    """
    inputs, targets, is_test, names, notes = _joined(spec, arrays)
    if spec.classes:
        if targets.dtype.kind == "f" or targets.ndim > 1:
            raise UsageError(f"Task.classes: the targets of {spec.data!r} are no classes")
        sampling.check_classes(
            f"Task.classes of {spec.data!r}", spec.classes, target_values.class_count(targets)
        )
        targets = sampling.renumbered(targets, spec.classes)
        chosen = targets >= 0
        inputs, targets = mapped(lambda array: array[chosen], inputs), targets[chosen]
        is_test = is_test[chosen]
        names = tuple(names[n] for n in spec.classes) if names else ()
    described = Targets(
        targets.shape[1:], targets.dtype.kind == "f", target_values.class_count(targets), names
    )
    test, held, kept = _parts(spec, targets, is_test)
    target_values.check_variety(spec.data, targets[kept])
    seen = kept[_subset(spec, targets[kept])]
    settings = Preprocessing.of(spec.preprocessing)
    specs, inputs = input_values.prepared(spec, inputs, kept, settings, arrays.encoder)
    mean, std, target_mean, target_std = None, None, None, None
    if isinstance(specs, InputSpec) and specs.dtype == "uint8":
        mean, std = images.moments(images.histogram(inputs[kept]))
    if described.floating and settings.targets == "standard":
        target_mean, target_std = preprocessing.moments(targets[kept])
        targets = preprocessing.scaled(targets, target_mean, target_std)
    elif settings.targets == "standard":
        raise UsageError(
            f"Task.preprocessing: targets: {spec.data!r} has classes, which are not scaled"
        )
    contents = [digest(array) for array in (*leaves(inputs), targets)]
    targets, shuffle = _corrupted(spec, targets, seen, held)
    return Dataset(
        name=spec.data,
        inputs=specs,
        targets=described,
        train=Split(inputs, targets, seen, shuffle),
        validation=Split(inputs, targets, held, shuffle),
        mean=mean,
        std=std,
        fingerprint=_fingerprint(spec, contents, described, (test, held, seen), notes),
        nbytes=Split(inputs, targets, np.arange(len(seen) + len(held) + len(test))).nbytes,
        held_out=Split(inputs, targets, test),
        target_mean=target_mean,
        target_std=target_std,
        notes=notes,
    )


def _joined(
    spec: DataSpec, arrays: Arrays
) -> tuple[Inputs, np.ndarray, np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Training and test examples as one array each, which are test examples, and class names."""
    train = _checked(spec, "training", arrays.inputs, arrays.targets)
    parts = [train]
    if (arrays.test_inputs is None) != (arrays.test_targets is None):
        raise UsageError(f"data set {spec.data!r}: expected test inputs and test targets, got one")
    if arrays.test_inputs is not None and arrays.test_targets is not None:
        if spec.test:
            raise UsageError(f"Task.test: {spec.data!r} has a test split of its own; leave it out")
        parts.append(_checked(spec, "test", arrays.test_inputs, arrays.test_targets))
    elif not spec.test:
        raise UsageError(
            f"data set {spec.data!r}: it has no test split; set Task.test, as in Task.test = 0.2,"
            " to hold a part of it out, always the same one"
        )
    inputs = _concatenated(spec, [part[0] for part in parts])
    try:
        targets = np.concatenate([part[1] for part in parts])
    except ValueError as error:
        raise UsageError(f"data set {spec.data!r}: targets of unlike shapes: {error}") from error
    is_test = np.repeat([False, True][: len(parts)], [len(part[1]) for part in parts])
    names, notes = arrays.classes, arrays.notes
    if targets.dtype.kind in "OSU":
        targets, names, note = target_values.encoded(spec.data, targets, is_test)
        notes = (*notes, note)
    return inputs, target_values.as_numbers(spec.data, targets), is_test, names, notes


def _checked(
    spec: DataSpec, part: str, inputs: Inputs, targets: np.ndarray
) -> tuple[Inputs, np.ndarray]:
    try:
        inputs, targets = mapped(np.asarray, inputs), np.asarray(targets)
    except ValueError as error:
        raise UsageError(
            f"data set {spec.data!r}: {part} inputs or targets of unlike shapes: {error}"
        ) from error
    arrays = dict(inputs) if isinstance(inputs, Mapping) else {"inputs": inputs}
    if not arrays or targets.ndim < 1:
        raise UsageError(f"data set {spec.data!r}: expected arrays of {part} examples, got none")
    for name, array in arrays.items():
        if array.ndim < 1 or len(array) != len(targets) or not len(array):
            raise UsageError(
                f"data set {spec.data!r}: {part} {name} has shape {array.shape}, expected as many"
                f" examples as there are targets, {len(targets)}"
            )
    return inputs, targets


def _concatenated(spec: DataSpec, parts: list[Inputs]) -> Inputs:
    first = parts[0]
    try:
        if isinstance(first, Mapping):
            return {k: np.concatenate([part[k] for part in parts]) for k in sorted(first)}
        return np.concatenate(parts)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UsageError(
            f"data set {spec.data!r}: training and test inputs differ in shape or name: {error}"
        ) from error


def _parts(spec: DataSpec, targets: np.ndarray, is_test: np.ndarray) -> tuple[Rows, Rows, Rows]:
    """The rows of test, validation and the rest, ascending."""
    if spec.test:
        drawn = identity.generator(0, "test split").permutation(len(targets))
        count = held_out_count(spec, len(targets), "test")
        test = np.sort(drawn[sampling.stratified(targets[drawn])[:count]])
    else:
        (test,) = np.nonzero(is_test)
    rest = np.setdiff1d(np.arange(len(targets)), test)
    count = held_out_count(spec, len(rest))
    drawn = identity.generator(spec.split_seed, "validation split").permutation(rest)
    order = sampling.stratified(targets[drawn])
    held, kept = (np.sort(drawn[part]) for part in (order[:count], order[count:]))
    return frozen(test), frozen(held), frozen(kept)


def _subset(spec: DataSpec, targets: np.ndarray) -> np.ndarray:
    labels = targets if sampling.has_strata(targets) else np.zeros(len(targets), np.int32)
    return sampling.subset(labels, spec.subset, spec.split_seed)


def _corrupted(
    spec: DataSpec, targets: np.ndarray, seen: Rows, held: Rows
) -> tuple[np.ndarray, int | None]:
    if spec.corrupt == "random_labels":
        targets = targets.copy()
        for part, rows in (("train", seen), ("validation", held)):
            targets[rows] = sampling.permuted(targets[rows], spec.split_seed, part)
        frozen(targets)
    return targets, spec.split_seed if spec.corrupt == "shuffled_pixels" else None


def _fingerprint(
    spec: DataSpec,
    contents: list[str],
    targets: Targets,
    rows: tuple[Rows, ...],
    notes: tuple[str, ...],
) -> str:
    described = [list(targets.shape), targets.classes, list(notes)]
    corrupt = [spec.corrupt, spec.split_seed] if spec.corrupt != "none" else []
    parts = ["arrays", contents, described, [digest(part) for part in rows], corrupt]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


Loader = Callable[..., Arrays]
