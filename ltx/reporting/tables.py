"""Export: a study as plain tables of trials, levels, layers and masks, for CSV and Parquet."""

import dataclasses
import math
import os
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow
import pyarrow.csv
import pyarrow.parquet

from ltx.analysis import curves
from ltx.analysis.mask_similarity import MaskSimilarity
from ltx.analysis.paired_tests import Interval
from ltx.analysis.transfer import TransferResult
from ltx.analysis.verdict import LevelVerdict
from ltx.core.errors import UsageError
from ltx.store.event_log import Timing
from ltx.store.store import Store
from ltx.study.record import StudyRecord

Lines = list[dict[str, object]]

_TEXT, _COUNT, _NUMBER = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
_WHERE = {"task": _TEXT, "finder": _TEXT, "control": pyarrow.bool_()}

# Columns and their types. `early_stop` counts steps from step 0; costs are of
# finding and training together; an empty cell is a value that is missing or has no meaning.
TRIALS = {
    **_WHERE,
    **{"seed": _COUNT, "level": _COUNT, "density": _NUMBER, "effective_density": _NUMBER},
    **{"test_accuracy": _NUMBER, "test_loss": _NUMBER},
    **{"validation_accuracy": _NUMBER, "validation_loss": _NUMBER},
    **{"early_stop": _COUNT, "steps": _COUNT, "dense_equivalent_steps": _NUMBER},
    **{"dense_flops": _NUMBER, "flops": _NUMBER},
    **{"seconds": _NUMBER, "found_seconds": _NUMBER},
    **{"trial": _TEXT, "ticket": _TEXT, "missing": _TEXT},
}
LAYERS = {
    **{**_WHERE, "seed": _COUNT, "level": _COUNT, "layer": _TEXT, "density": _NUMBER},
    **{"units": _COUNT, "dead_units": _COUNT},
}


def trials(
    record: StudyRecord, manifests: Mapping[str, Mapping] = types.MappingProxyType({})
) -> Lines:
    """A line for each trial, and one for each that is missing, with the reason and no numbers.

    Effective densities are those of the tickets' manifests.
    """
    lines: Lines = []
    for row in record.rows:
        trial, spent = row.trial, curves.spent(row.trial)
        took = record.timings.get(trial.id, Timing())
        lines.append(
            {
                **_of(row, "task", "finder", "control", "seed"),
                **_of(trial, "level", "density"),
                "effective_density": manifests.get(trial.ticket, {}).get("effective_density"),
                "test_accuracy": trial.test.accuracy,
                "test_loss": trial.test.loss,
                "validation_accuracy": trial.validation.accuracy,
                "validation_loss": trial.validation.loss,
                "early_stop": trial.early_stop,
                "steps": spent.steps,
                "dense_equivalent_steps": curves.dense_steps(trial),
                "dense_flops": float(spent.dense_flops),  # whole numbers outgrow 64 bits
                "flops": float(spent.flops),
                "seconds": _known(took.total),
                "found_seconds": _known(took.found),
                "trial": trial.id,
                "ticket": trial.ticket,
            }
        )
    for gap in record.gaps():
        where = _of(gap, "task", "finder", "control", "seed", "level")
        lines.append({**where, "missing": gap.reason})
    return lines


def layers(record: StudyRecord, manifests: Mapping[str, Mapping]) -> Lines:
    """A line for each weight tensor of each ticket that is there: its density, its dead units."""
    return [
        {
            **_of(row, "task", "finder", "control", "seed"),
            "level": row.trial.level,
            "layer": layer,
            "density": density,
            "units": manifests[row.trial.ticket].get("units", {}).get(layer),
            "dead_units": manifests[row.trial.ticket].get("dead_units", {}).get(layer),
        }
        for row in record.rows
        if row.trial.ticket in manifests
        for layer, density in manifests[row.trial.ticket]["densities"].items()
    ]


def manifests(record: StudyRecord, store: Store) -> dict[str, dict]:
    """The manifests of the study's tickets by id, of those that are there and sound."""
    return store.manifests_by_id(row.trial.ticket for row in record.rows)


STABILITY = {
    **_WHERE,
    **{"seed": _COUNT, "level": _COUNT, "density": _NUMBER, "at": _TEXT, "start": _COUNT},
    **{"split": _TEXT, "barrier": _NUMBER, "stable": pyarrow.bool_()},
    **{"first_error": _NUMBER, "second_error": _NUMBER, "largest_error": _NUMBER},
    **{
        f"{start}{what}": _NUMBER
        for start in ("", "pruned_")
        for what in ("distance", "moved", "angle")
    },
    **{"stability": _TEXT, "ticket": _TEXT, "missing": _TEXT},
}


def stability(record: StudyRecord) -> Lines:
    """A line for each two copies of a ticket, and one for each two that are missing."""
    lines: Lines = []
    for row in record.compared:
        one = row.instability
        pruned = dataclasses.asdict(one.to_pruning) if one.to_pruning else {}
        lines.append(
            {
                **_of(row, "task", "finder", "control", "seed"),
                **_of(one, "level", "density", "at", "start", "split"),
                "barrier": one.barrier.height,
                "stable": one.barrier.stable(),
                "first_error": one.errors[0],
                "second_error": one.errors[-1],
                "largest_error": max(one.errors),
                **dataclasses.asdict(one.to_order),
                **{f"pruned_{key}": value for key, value in pruned.items()},
                "stability": one.id,
                "ticket": one.ticket,
            }
        )
    for gap in record.uncompared():
        where = _of(gap, "task", "finder", "control", "seed", "level", "at")
        lines.append({**where, "missing": gap.reason})
    return lines


LEVELS = {
    **{"task": _TEXT, "finder": _TEXT, "level": _COUNT, "density": _NUMBER, "seeds": _COUNT},
    **{
        f"{what}{end}": _NUMBER
        for what in ("accuracy", "early_stop", "gain", "delay")
        for end in ("", "_low", "_high")
    },
    **{"verdict": _TEXT, "reason": _TEXT, "p": _NUMBER, "more_seeds": _NUMBER},
    **{"missing_seeds": _COUNT, "margin": _NUMBER},
}
COMPARISONS = {
    **{"task": _TEXT, "finder": _TEXT, "level": _COUNT, "control": _TEXT},
    **{f"{what}{end}": _NUMBER for what in ("accuracy", "lead") for end in ("", "_low", "_high")},
}


def levels(found: Iterable[LevelVerdict]) -> Lines:
    """A line for each level of each finder that is no control, with its verdict.

    `gain` in accuracy and `delay` in early stop are over dense, paired by seed, with intervals as
    corrected as `p` is; `more_seeds` is infinite where no number of seeds would do.
    """
    return [
        {
            **_of(level, "task", "finder", "level", "density", "seeds"),
            **_ends("accuracy", level.accuracy),
            **_ends("early_stop", level.early_stop),
            **_ends("gain", level.gain),
            **_ends("delay", level.delay),
            "verdict": level.verdict or None,
            "reason": level.reason or None,
            "p": level.decisive_p,
            "more_seeds": None if math.isnan(level.more_seeds) else level.more_seeds,
            "missing_seeds": len(level.missing),
            "margin": level.margin,
        }
        for level in found
    ]


def comparisons(found: Iterable[LevelVerdict]) -> Lines:
    """A line for each level and control; `lead` is the finder's over it, paired by seed."""
    return [
        {
            **_of(level, "task", "finder", "level"),
            "control": control,
            **_ends("accuracy", accuracy),
            **_ends("lead", level.leads.get(control)),
        }
        for level in found
        for control, accuracy in level.controls.items()
    ]


TRANSFERS = {
    **{"task": _TEXT, "finder": _TEXT, "source": _TEXT, "carry": _TEXT, "level": _COUNT},
    **{"density": _NUMBER, "seeds": _COUNT},
    **{f"accuracy{end}": _NUMBER for end in ("", "_low", "_high")},
    "native": _TEXT,
    **{
        f"{what}{end}": _NUMBER
        for what in ("native_accuracy", "dense_accuracy", "gap")
        for end in ("", "_low", "_high")
    },
    **{"word": _TEXT, "reason": _TEXT, "p": _NUMBER, "more_seeds": _NUMBER},
    **{"missing_seeds": _COUNT, "margin": _NUMBER},
}


def transfers(found: Iterable[TransferResult]) -> Lines:
    """A line for each level of what each finder carried to each task.

    `gap` is its accuracy less that of the `native` finder, paired by seed, with an interval as
    corrected as `p` is.
    """
    return [
        {
            **_of(one, "task", "finder", "source", "carry", "level", "density", "seeds"),
            **_ends("accuracy", one.accuracy),
            "native": one.native or None,
            **_ends("native_accuracy", one.native_accuracy),
            **_ends("dense_accuracy", one.dense_accuracy),
            **_ends("gap", one.gap),
            "word": one.verdict,
            "reason": one.reason,
            "p": one.decisive_p,
            "more_seeds": None if math.isnan(one.more_seeds) else one.more_seeds,
            "missing_seeds": len(one.missing),
            "margin": one.margin,
        }
        for one in found
    ]


OVERLAPS = {
    **{"task": _TEXT, "finder": _TEXT, "other": _TEXT, "level": _COUNT, "other_level": _COUNT},
    **{"density": _NUMBER, "other_density": _NUMBER, "layer": _TEXT, "pairs": _COUNT},
    **{"shared": _NUMBER, "chance_shared": _NUMBER, "chance_spread": _NUMBER},
    **{"jaccard": _NUMBER, "chance_jaccard": _NUMBER},
}


def overlaps(found: Iterable[MaskSimilarity]) -> Lines:
    """A line for each layer of each overlap, and one without a layer for the whole mask.

    Where `other` is the finder itself it is between its tickets of different seeds.
    """
    return [
        {
            **_of(one, "task", "finder", "other", "level", "other_level"),
            **_of(one, "density", "other_density"),
            "layer": layer,
            **vars(overlap),
        }
        for one in found
        for layer, overlap in [(None, one.whole), *one.layers.items()]
    ]


def _of(one: object, *names: str) -> dict[str, object]:
    """The columns that are fields of the same names."""
    return {name: getattr(one, name) for name in names}


def _ends(name: str, interval: Interval | None) -> dict[str, object]:
    if interval is None:
        return {}
    ends = {"": interval.mean, "_low": interval.low, "_high": interval.high}
    return {f"{name}{end}": _known(n) for end, n in ends.items()}


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def write(
    folder: str | os.PathLike[str], name: str, lines: Sequence[Mapping], columns: Mapping
) -> list[Path]:
    """Write `name`.csv and `name`.parquet with these columns; where they are."""
    made = pyarrow.Table.from_pylist(list(lines), schema=pyarrow.schema(list(columns.items())))
    csv, parquet = (Path(folder) / f"{name}.{suffix}" for suffix in ("csv", "parquet"))
    try:
        csv.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.csv.write_csv(made, csv)
        pyarrow.parquet.write_table(made, parquet)
    except OSError as error:
        raise UsageError(
            f"cannot write {csv}: {error.strerror or error}; choose another --data"
        ) from error
    return [csv, parquet]
