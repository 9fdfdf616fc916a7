"""Export: a study as plain tables of trials, levels and layers, for CSV and Parquet."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow
import pyarrow.csv
import pyarrow.parquet

from ltx import curve
from ltx.errors import UsageError
from ltx.paired import Interval
from ltx.record import Record
from ltx.store import Store
from ltx.verdict import Level

Lines = list[dict[str, object]]

_TEXT, _COUNT, _NUMBER = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
_WHERE = {"task": _TEXT, "finder": _TEXT, "control": pyarrow.bool_()}

# Columns and their types. `early_stop` counts steps from step 0; costs are of
# finding and training together; an empty cell is a value that is missing or has no meaning.
TRIALS = {
    **_WHERE,
    **{"seed": _COUNT, "level": _COUNT, "density": _NUMBER},
    **{"test_accuracy": _NUMBER, "test_loss": _NUMBER},
    **{"validation_accuracy": _NUMBER, "validation_loss": _NUMBER},
    **{"early_stop": _COUNT, "steps": _COUNT, "dense_equivalent_steps": _NUMBER},
    **{"dense_flops": _NUMBER, "flops": _NUMBER},
    **{"trial": _TEXT, "ticket": _TEXT, "missing": _TEXT},
}
LAYERS = {**_WHERE, "seed": _COUNT, "level": _COUNT, "layer": _TEXT, "density": _NUMBER}


def trials(record: Record) -> Lines:
    """A line for each trial, and one for each that is missing, with the reason and no numbers."""
    lines: Lines = []
    for row in record.rows:
        trial, spent = row.trial, curve.spent(row.trial)
        lines.append(
            {
                "task": row.task,
                "finder": row.finder,
                "control": row.control,
                "seed": row.seed,
                "level": trial.level,
                "density": trial.density,
                "test_accuracy": trial.test.accuracy,
                "test_loss": trial.test.loss,
                "validation_accuracy": trial.validation.accuracy,
                "validation_loss": trial.validation.loss,
                "early_stop": trial.early_stop,
                "steps": spent.steps,
                "dense_equivalent_steps": curve.dense_steps(trial),
                "dense_flops": float(spent.dense_flops),  # whole numbers outgrow 64 bits
                "flops": float(spent.flops),
                "trial": trial.id,
                "ticket": trial.ticket,
            }
        )
    for gap in record.gaps():
        where = {key: getattr(gap, key) for key in ("task", "finder", "control", "seed", "level")}
        lines.append({**where, "missing": gap.reason})
    return lines


def layers(record: Record, manifests: Mapping[str, Mapping]) -> Lines:
    """A line for each weight tensor of each ticket that is there, with its density."""
    return [
        {
            "task": row.task,
            "finder": row.finder,
            "control": row.control,
            "seed": row.seed,
            "level": row.trial.level,
            "layer": layer,
            "density": density,
        }
        for row in record.rows
        if row.trial.ticket in manifests
        for layer, density in manifests[row.trial.ticket]["densities"].items()
    ]


def manifests(record: Record, store: Store) -> dict[str, dict]:
    """The manifests of the study's tickets by id, of those that are there and sound."""
    return store.manifests_of(row.trial.ticket for row in record.rows)


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


def levels(found: Iterable[Level]) -> Lines:
    """A line for each level of each finder that is no control, with its verdict.

    `gain` in accuracy and `delay` in early stop are over dense, paired by seed, with intervals as
    corrected as `p` is; `more_seeds` is infinite where no number of seeds would do.
    """
    return [
        {
            "task": level.task,
            "finder": level.finder,
            "level": level.level,
            "density": level.density,
            "seeds": level.seeds,
            **_ends("accuracy", level.accuracy),
            **_ends("early_stop", level.early_stop),
            **_ends("gain", level.gain),
            **_ends("delay", level.delay),
            "verdict": level.verdict or None,
            "reason": level.reason or None,
            "p": level.p.get(level.verdict, min(level.p.values(), default=None)),
            "more_seeds": None if math.isnan(level.more_seeds) else level.more_seeds,
            "missing_seeds": len(level.missing),
            "margin": level.margin,
        }
        for level in found
    ]


def comparisons(found: Iterable[Level]) -> Lines:
    """A line for each level and control; `lead` is the finder's over it, paired by seed."""
    return [
        {
            "task": level.task,
            "finder": level.finder,
            "level": level.level,
            "control": control,
            **_ends("accuracy", accuracy),
            **_ends("lead", level.leads.get(control)),
        }
        for level in found
        for control, accuracy in level.controls.items()
    ]


def _ends(name: str, interval: Interval | None) -> dict[str, object]:
    if interval is None:
        return {}
    ends = {"": interval.mean, "_low": interval.low, "_high": interval.high}
    return {f"{name}{end}": None if math.isnan(n) else n for end, n in ends.items()}


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
