"""Tables of what was measured: trials, layers of tickets, and copies of tickets."""

import dataclasses
import re
import types
from collections.abc import Mapping

from ltx.analysis import curves
from ltx.evaluation.trial import Trial
from ltx.reporting.tables.columns import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    Lines,
    fields,
    named,
    or_none,
)
from ltx.store.event_log import Timing
from ltx.store.store import Store
from ltx.study.record import StudyRecord

_ARM = {"task": TEXT, "finder": TEXT, "control": FLAG}

# Columns and their types. `early_stop` counts steps from step 0; costs are those of finding and
# training together; an empty cell is a value that is missing or has no meaning.
TRIALS = {
    **_ARM,
    **{"seed": COUNT, "level": COUNT, "density": NUMBER, "effective_density": NUMBER},
    **{"test_accuracy": NUMBER, "test_loss": NUMBER},
    **{"validation_accuracy": NUMBER, "validation_loss": NUMBER},
    **{"early_stop": COUNT, "steps": COUNT, "dense_equivalent_steps": NUMBER},
    **{"dense_flops": NUMBER, "flops": NUMBER},
    **{"seconds": NUMBER, "found_seconds": NUMBER},
    **{"trial": TEXT, "ticket": TEXT, "missing": TEXT, "superseded": TEXT},
}
LAYERS = {
    **{**_ARM, "seed": COUNT, "level": COUNT, "layer": TEXT, "density": NUMBER},
    **{"units": COUNT, "dead_units": COUNT},
}


def trials(
    record: StudyRecord, manifests: Mapping[str, Mapping] = types.MappingProxyType({})
) -> Lines:
    """A line for each trial, and one for each missing trial, with the reason and no numbers.

    Effective densities are taken from the tickets' manifests.
    """
    lines: Lines = []
    for row in record.rows:
        trial, spent = row.trial, curves.spent(row.trial)
        timing = record.timings.get(trial.id, Timing())
        lines.append(
            {
                **fields(row, "task", "finder", "control", "seed"),
                **fields(trial, "level", "density"),
                "effective_density": manifests.get(trial.ticket, {}).get("effective_density"),
                **_metrics(trial),
                "early_stop": trial.early_stop,
                "steps": spent.steps,
                "dense_equivalent_steps": curves.dense_steps(trial),
                "dense_flops": float(spent.dense_flops),  # whole numbers outgrow 64 bits
                "flops": float(spent.flops),
                "seconds": or_none(timing.total),
                "found_seconds": or_none(timing.found),
                "trial": trial.id,
                "ticket": trial.ticket,
                "superseded": row.superseded(manifests.get(trial.ticket, {})) or None,
            }
        )
    for gap in record.gaps():
        where = fields(gap, "task", "finder", "control", "seed", "level")
        lines.append({**where, "missing": gap.reason})
    return lines


def _metrics(trial: Trial) -> dict[str, object]:
    """Loss, metric and further metrics on test and validation; `further` has names of columns."""
    further = {
        f"{split}_{re.sub(r'[^A-Za-z0-9]+', '_', name)}": value
        for split, metrics in (("test", trial.test), ("validation", trial.validation))
        for name, value in metrics.further.items()
        if name != trial.metric.name
    }
    values = {"test_accuracy": trial.test.value, "validation_accuracy": trial.validation.value}
    return {
        **named(trial.metric, values),
        **{"test_loss": trial.test.loss, "validation_loss": trial.validation.loss},
        **further,
        **({"further": list(further)} if further else {}),
    }


def layers(record: StudyRecord, manifests: Mapping[str, Mapping]) -> Lines:
    """A line for each weight tensor of each stored ticket: its density and its dead units."""
    return [
        {
            **fields(row, "task", "finder", "control", "seed"),
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
    """The manifests by id of those of the study's tickets that are stored and valid."""
    return store.manifests_by_id(row.trial.ticket for row in record.rows)


STABILITY = {
    **_ARM,
    **{"seed": COUNT, "level": COUNT, "density": NUMBER, "at": TEXT, "start": COUNT},
    **{"split": TEXT, "barrier": NUMBER, "loss_barrier": NUMBER, "stable": FLAG},
    **{"first_error": NUMBER, "second_error": NUMBER, "largest_error": NUMBER},
    **{
        f"{start}{what}": NUMBER
        for start in ("", "pruned_")
        for what in ("distance", "moved", "angle")
    },
    **{"stability": TEXT, "ticket": TEXT, "missing": TEXT},
}


def stability(record: StudyRecord) -> Lines:
    """A line for each pair of copies of a ticket, and one for each missing pair."""
    lines: Lines = []
    for row in record.compared:
        one = row.instability
        pruned = dataclasses.asdict(one.to_pruning) if one.to_pruning else {}
        lines.append(
            {
                **fields(row, "task", "finder", "control", "seed"),
                **fields(one, "level", "density", "at", "start", "split"),
                **named(one.metric, {}),
                "barrier": one.barrier.height,
                "loss_barrier": or_none(one.barrier.loss_height),
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
        where = fields(gap, "task", "finder", "control", "seed", "level", "at")
        lines.append({**where, "missing": gap.reason})
    return lines
