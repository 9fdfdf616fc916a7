"""Table: named columns, and the choice of those that are inputs and targets."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ltx.core.errors import UsageError, shown, unknown
from ltx.data.arrays import Arrays
from ltx.data.files import column_types, encoding

_KINDS = ("number", "category", "text")


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Columns by name: floats with NaN for a gap, whole numbers, arrays [n, ...], or texts.

    Texts are objects, str or None. `classes` names the classes of columns that hold their numbers.
    With `untyped` every cell is a text, whose type is declared or inferred. `unusable` says
    of the other columns what they hold.
    """

    columns: Mapping[str, np.ndarray]
    classes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    untyped: bool = False
    unusable: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Choice:
    """What `Task.data_args` may say of any table.

    `target` is a column, or several for targets that are rows of numbers; `inputs` a column or
    several, None for all others. `types` declares columns, {'zip': 'category', 'age': 'number'},
    also 'text'. `missing` is "refuse" or "mean", that of the training examples, for the gaps of
    number columns. `gaps` lists what stands for a gap beside the empty cell, as in ('NA', '?').
    """

    target: str | Sequence[str]
    inputs: str | Sequence[str] | None = None
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    missing: str = "refuse"
    gaps: Sequence[str] = ()


def arrays(data: str, train: Table, test: Table | None, choice: Choice) -> Arrays:
    """Inputs and targets from the columns of a table, and of one with its test examples."""
    targets, inputs = _chosen(data, train, choice)
    columns = {name: _joined(data, name, train, test) for name in (*targets, *inputs)}
    gaps = _texts(data, "gaps", choice.gaps)
    if train.untyped:
        columns = {name: column_types.without(array, gaps) for name, array in columns.items()}
    kinds, notes = {}, []
    for name, array in columns.items():
        kind, note = column_types.kind(
            data, name, array, choice.types.get(name), train.untyped, name in targets
        )
        kinds[name] = "category" if name in train.classes and not choice.types.get(name) else kind
        notes += [note] * bool(note)
    parts = np.repeat([False, True], [_rows(train), _rows(test) if test else 0])
    values = {
        name: column_types.values(data, name, columns[name], kinds[name], train.classes.get(name))
        for name in inputs
    }
    target, classes, more = _target(data, train, {name: columns[name] for name in targets}, kinds)
    several, encoder = encoding.inputs(data, values, kinds, choice.missing)
    split = (lambda array: (array[~parts], array[parts])) if test else (lambda array: (array, None))
    pairs = {name: split(array) for name, array in several.items()}
    alone = encoder is None and len(pairs) == 1
    first, second = ({name: pair[n] for name, pair in pairs.items()} for n in (0, 1))
    return Arrays(
        inputs=first[inputs[0]] if alone else first,
        targets=split(target)[0],
        test_inputs=None if test is None else second[inputs[0]] if alone else second,
        test_targets=split(target)[1],
        classes=classes,
        notes=(*notes, *more),
        encoder=encoder,
    )


def _chosen(data: str, table: Table, choice: Choice) -> tuple[list[str], list[str]]:
    """The names of target and input columns; UsageError for one that does not exist."""
    targets = _texts(data, "target", choice.target)
    if choice.inputs is None:
        inputs = [name for name in (*table.columns, *table.unusable) if name not in targets]
    else:
        inputs = _texts(data, "inputs", choice.inputs)
    if not isinstance(choice.types, Mapping):
        raise UsageError(
            f"data set {data!r}: types: expected {{'zip': 'category'}}, got {shown(choice.types)}"
        )
    for name in (*targets, *inputs, *choice.types):
        if name in table.unusable:
            raise UsageError(
                f"data set {data!r}: column {name!r} holds {table.unusable[name]}; expected"
                " numbers, texts or lists of one length: name others in Task.data_args inputs"
            )
        if name not in table.columns:
            raise unknown(f"column of {data!r} in Task.data_args", name, table.columns)
    for name, kind in choice.types.items():
        if kind not in _KINDS:
            raise unknown(f"type of column {name!r} in Task.data_args", kind, _KINDS)
    if not targets or not inputs:
        raise UsageError(
            f"data set {data!r}: expected at least one target and one other column as input, got"
            f" {', '.join(table.columns)}"
        )
    if both := [name for name in inputs if name in targets]:
        raise UsageError(f"data set {data!r}: column {both[0]!r} is both input and target")
    return targets, inputs


def _texts(data: str, setting: str, given: object) -> list[str]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UsageError(
            f"data set {data!r}: Task.data_args: {setting}: expected a name or several, got"
            f" {shown(given)}"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"data set {data!r}: Task.data_args: {setting} has {twice!r} twice")
    return list(names)


def _rows(table: Table) -> int:
    return len(next(iter(table.columns.values()), ()))


def _joined(data: str, name: str, train: Table, test: Table | None) -> np.ndarray:
    if test is None:
        return train.columns[name]
    if name not in test.columns:
        raise UsageError(f"data set {data!r}: the test examples have no column {name!r}")
    if train.classes.get(name) != test.classes.get(name):
        raise UsageError(f"data set {data!r}: the classes of {name!r} differ in the test examples")
    try:
        return np.concatenate([train.columns[name], test.columns[name]])
    except ValueError as error:
        raise UsageError(
            f"data set {data!r}: column {name!r} differs in the test examples: {error}"
        ) from error


def _target(
    data: str, table: Table, columns: Mapping[str, np.ndarray], kinds: Mapping[str, str]
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Targets [n] or [n, columns], the names of their classes, and notes on them."""
    if len(columns) > 1:
        numbers = [
            column_types.values(data, name, array, "number", None)
            for name, array in columns.items()
        ]
        return np.stack(numbers, axis=1), (), []
    [(name, array)] = columns.items()
    if name in table.classes:
        column_types.refuse_gaps(data, name, array)
        return array, table.classes[name], []
    if kinds[name] == "classes":
        return array, (), []
    return column_types.values(data, name, array, kinds[name], None), (), []
