"""One reader for each kind of file in a store: what it returns has been checked.

A file is read if its digest, its schema and its numbers are right, if it has the name that its
content asks for, and if the ids of mask, state and ticket, computed from what was read, are those
that it claims. All else is a CorruptError of one line. No id covers a ticket's cost, note and
versions, nor the results of trials and memo entries: a forged file can still lie about those.
"""

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ltx.core.cost import Cost
from ltx.core.errors import CorruptError, UsageError
from ltx.core.run import History, Run
from ltx.core.seal import SealedError
from ltx.core.state import GROUPS, State
from ltx.evaluation.instability import Instability, Stability
from ltx.evaluation.trial import Trial
from ltx.store import atomic_files, manifest, schema


class StoredTicket(NamedTuple):
    """A ticket's manifest and its masks, one bit per weight; its state has a file of its own."""

    manifest: dict
    bits: dict[str, np.ndarray]


class Numbers(NamedTuple):
    """Numbers, and what computing them cost in work and in seconds, NaN where unknown."""

    values: list[float]
    cost: Cost
    seconds: float


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a file's content into a CorruptError that names the file."""
    try:
        yield
    except SealedError:  # of a sound file, which is closed while a finder searches
        raise
    except (ValueError, KeyError, TypeError, ArithmeticError, AttributeError, UsageError) as error:
        text = str(error) if isinstance(error, ValueError | UsageError) else repr(error)
        raise CorruptError(
            f"{path}: {text[:400]}; the file is damaged or forged: delete it and run its study"
            " again"
        ) from error


def _equal(what: str, expected: object, got: object) -> None:
    if expected != got:
        raise ValueError(f"{what}: expected {expected!r:.80}, got {got!r:.80}")


# Tickets and states


def ticket(path: Path) -> StoredTicket:
    bits, header, seal = atomic_files.read_sealed(path)
    with _refusing(path):
        schema.check(header, schema.Manifest)
        _equal("id", path.name, f"{header['id']}.safetensors")
        _check_bits(header, bits)
        _equal("density", manifest.density(header, bits), header["density"])
        _equal("id", manifest.id_of(header, manifest.mask_id(header, bits, seal)), header["id"])
    return StoredTicket(header, bits)


def found(path: Path) -> dict:
    """The manifest that one of several finders left of a ticket.

    Its id is not computed, as its masks are in the ticket's file: see `same_ticket`.
    """
    document = atomic_files.read_json(path)
    with _refusing(path):
        schema.check(document, schema.Manifest)
        if path.name not in manifest.names(document):
            raise ValueError(f"id: expected {next(manifest.names(document))!r} as the file's name")
    return document


def _check_bits(header: Mapping, bits: Mapping[str, np.ndarray]) -> None:
    """Check the sizes of packed masks, before anything is unpacked, and their last bits."""
    _equal("weights", sorted(header["shapes"]), sorted(bits))
    for name, shape in header["shapes"].items():
        packed, size = bits[name], math.prod(shape)
        if packed.dtype != np.uint8 or packed.shape != (-(-size // 8),):
            form = f"{packed.dtype} of shape {packed.shape}"
            _equal(f"packed mask of {name[:60]}", f"uint8 of shape {(-(-size // 8),)}", form)
        if size % 8 and int(packed[-1]) & (0xFF >> size % 8):
            raise ValueError(f"mask of {name[:60]}: expected {size} bits, got more")


def state(path: Path) -> State:
    arrays, header, _ = atomic_files.read_sealed(path)
    with _refusing(path):
        schema.check(header, schema.StateHeader)
        _equal("id", path.name, f"{header['id']}.safetensors")
        read = _state(arrays)
        _equal("id", read.id, header["id"])
    return read


def _state(arrays: Mapping[str, np.ndarray]) -> State:
    step = arrays.get("step")
    if step is None or step.dtype != np.int64 or step.shape or step < 0:
        raise ValueError("step: expected an int64 of at least 0")
    for name in arrays.keys() - {"step"}:
        if name.partition("/")[0] not in GROUPS or "/" not in name:
            raise ValueError(f"tensor {name[:60]!r}: expected a name that begins with a group")
    read = State.from_arrays(arrays)
    if bad := _not_finite(read):
        raise ValueError(f"tensor {bad[:60]!r}: expected finite numbers")
    return read


def _not_finite(state: State) -> str | None:
    """The name of an array of the state with a NaN or an infinity in it."""
    for name, array in state.arrays().items():
        # Of the dtypes that ml_dtypes adds to numpy, too, whose kind is V.
        if array.dtype.kind in "fcV" and not np.isfinite(array).all():
            return name
    return None


# Trials, instability and studies


def trial(path: Path) -> Trial:
    document = atomic_files.read_json(path)
    with _refusing(path):
        schema.check(document, schema.Trial)
        _equal("id", path.name, f"{document['id']}.json")
        _check_history(document["history"])
        for split in ("validation", "test"):
            _metric_key(split, document[split])
        return Trial.from_document(document)


def _check_history(history: Mapping) -> None:
    steps = history["steps"]
    for name in ("loss", _metric_key("history", history)):
        _equal(f"history.{name}: points", len(steps), len(history[name]))
    if any(step >= later for step, later in itertools.pairwise(steps)):
        raise ValueError("history.steps: expected increasing steps")


def _metric_key(place: str, document: Mapping) -> str:
    """The key of the metric's values; ValueError where there is none or two."""
    keys = [key for key in ("accuracy", "value") if document.get(key) is not None]
    if len(keys) != 1:
        raise ValueError(f"{place}: expected accuracy or value, got {' and '.join(keys) or 'none'}")
    return keys[0]


def instability(path: Path) -> Instability:
    document = atomic_files.read_json(path)
    with _refusing(path):
        schema.check(document, schema.Instability)
        _equal("id", path.name, f"{document['id']}.json")
        points = len(document["alphas"])
        _equal("errors: points", points, len(document["errors"]))
        if document.get("losses"):
            _equal("losses: points", points, len(document["losses"]))
        if not document.get("metric"):  # accuracy's errors are shares
            schema.check({"errors": document["errors"]}, schema.Shares)
        return Instability.from_document(document)


def study(path: Path) -> dict:
    document = atomic_files.read_json(path)
    with _refusing(path):
        schema.check(document, schema.Study)
        _equal("id", path.name, f"{document['id']}.json")
        if stability := document.get("stability"):
            Stability(**stability)
    return document


def mark(path: Path) -> object:
    """The format of the store that this file marks; None or any value in a store of newer ltx."""
    return atomic_files.read_json(path).get("format")


# The memo


def memo_run(path: Path, start: State | None = None) -> Run:
    """A cached training up to the step in the file's name; it has to fit the state it began with.

    Its seconds are NaN where the file, of an older version, does not have them.
    """
    arrays, header, _ = atomic_files.read_sealed(path)
    with _refusing(path):
        entry = schema.check(header, schema.MemoRun)
        _equal("key", path.parent.name, entry.key or path.parent.name)
        _check_history(header["history"])
        end = _state(arrays)
        _equal("step", path.name.partition(".")[0], str(end.step))
        if entry.history.steps and entry.history.steps[-1] > end.step:
            raise ValueError(f"history.steps: expected none after {end.step}")
        if start is not None:
            _check_start(start, end, entry.history.steps)
        history = History.from_document(header["history"])
        return Run(end, history, math.nan if entry.seconds is None else entry.seconds)


def _check_start(start: State, end: State, steps: Sequence[int]) -> None:
    """Check that a training from one state can have ended in the other."""
    for group in ("weights", "statistics"):
        forms = [
            {name: (array.shape, str(array.dtype)) for name, array in getattr(one, group).items()}
            for one in (start, end)
        ]
        _equal(f"shapes of {group}", *forms)
    if end.step <= start.step or any(step <= start.step for step in steps[:1]):
        raise ValueError(f"step: expected steps after {start.step}, got {end.step}")


def can_cache(run: Run) -> bool:
    """Whether `memo_run` reads this run again: all its numbers are finite, or infinite losses."""
    return _not_finite(run.state) is None and not any(map(math.isnan, run.history.loss))


def memo_numbers(path: Path) -> Numbers:
    document = atomic_files.read_json(path)
    with _refusing(path):
        entry = schema.check(document, schema.MemoNumbers)
        _equal("key", path.parent.name, entry.key or path.parent.name)
        seconds = math.nan if entry.seconds is None else entry.seconds
        return Numbers(document["numbers"], Cost(**document["cost"]), seconds)


def same_ticket(one: Mapping, other: Mapping, path: Path) -> None:
    """CorruptError if a finder's manifest is not of the ticket with the other manifest."""
    with _refusing(path):
        for key in manifest.COVERED:
            _equal(key, one[key], other[key])
