"""The plots of each section of the page."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from ltx.analysis.curves import Curve
from ltx.analysis.grouping import group
from ltx.analysis.instability_curves import StabilityCurve, rewind_curves
from ltx.analysis.mask_similarity import MaskSimilarity
from ltx.reporting.figures import by_density, cost, instability, layers, masks
from ltx.reporting.figures.style import Plot

Section = tuple[str, list[Plot]]


def of_curves(curves: Sequence[Curve]) -> Iterator[Section]:
    by_task = group(curves, lambda curve: curve.task)
    yield "cost", [plot for task, own in by_task.items() for plot in cost.costs(task, own)]
    yield "accuracy", [by_density.values(task, own) for task, own in by_task.items()]
    stops = [by_density.early_stops(task, own) for task, own in by_task.items()]
    yield "early stop", [plot for plot in stops if plot]


def of_layers(lines: Sequence[Mapping]) -> Iterator[Section]:
    """`lines` are those of `tables.layers`; controls are omitted."""
    yield "layers", _by_finder(lines, layers.densities)
    yield "dead units", _by_finder(lines, layers.dead_units)


def _by_finder(lines: Sequence[Mapping], draw: Callable[..., Plot | None]) -> list[Plot]:
    own = (line for line in lines if not line["control"])
    arms = group(own, lambda line: (line["task"], line["finder"]))
    return [plot for arm, its in arms.items() if (plot := draw(*arm, its))]


def of_masks(
    curves: Sequence[Curve], trials: Sequence[Mapping], similarities: Sequence[MaskSimilarity]
) -> Iterator[Section]:
    """`trials` are the lines of `tables.trials`."""
    by_task = group(curves, lambda curve: curve.task)
    shares = [masks.effective(task, own, trials) for task, own in by_task.items()]
    yield "effective", [plot for plot in shares if plot]
    overlaps = [masks.overlaps(task, similarities) for task in by_task]
    yield "overlaps", [plot for plot in overlaps if plot]


def of_stability(curves: Sequence[StabilityCurve]) -> Iterator[Section]:
    """Errors and distances are shown from the first origin alone, since they are many."""
    by_task = group(curves, lambda curve: curve.task)
    by_origin = group(curves, lambda curve: (curve.task, curve.origin))
    yield "barriers", [instability.barriers(task, own) for (task, _), own in by_origin.items()]
    rewinds = {task: rewind_curves(own) for task, own in by_task.items()}
    yield (
        "rewinds",
        [
            instability.barriers_by_rewind(
                task, own, by_task[task][0].split, by_task[task][0].metric
            )
            for task, own in rewinds.items()
            if own
        ],
    )
    first = {task: by_origin[task, own[0].origin] for task, own in by_task.items()}
    yield "between copies", [instability.errors(one) for own in first.values() for one in own]
    yield (
        "apart",
        [plot for task, own in first.items() for plot in instability.distances(task, own)],
    )
