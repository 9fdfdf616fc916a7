"""The plots of each section of the page."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ltx.analysis.curves import Curve
from ltx.analysis.grouping import group
from ltx.analysis.instability_curves import StabilityCurve, rewind_curves
from ltx.analysis.mask_similarity import MaskSimilarity
from ltx.analysis.verdict import MATCHING, WINNING, LevelVerdict
from ltx.core.errors import LtxError
from ltx.reporting.figures import by_density, cost, instability, layers, mask_maps, masks, wiring
from ltx.reporting.figures.style import Plot
from ltx.store.store import Store
from ltx.study.results import TrialResult

Section = tuple[str, list[Plot]]
MOST_WIRED = 6  # tickets whose wiring is drawn, to bound the size of the page


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


def of_wiring(
    levels: Iterable[LevelVerdict], rows: Sequence[TrialResult], store: Store
) -> Iterator[Section]:
    """One ticket of each finder: the sparsest that wins or matches, else the sparsest.

    It is that of the first seed; those that the store lacks are omitted.
    """
    plots: list[Plot] = []
    for (task, finder), own in group(levels, lambda one: (one.task, one.finder)).items():
        sparse = [one for one in own if one.level > 0]
        good = [one for one in sparse if one.verdict in (WINNING, MATCHING)] or sparse
        level = min(good, key=lambda one: one.density).level if good else None
        found = [
            row for row in rows if (row.task, row.finder, row.trial.level) == (task, finder, level)
        ]
        if len(plots) == MOST_WIRED or not found:
            continue
        first = min(found, key=lambda row: row.seed)
        try:
            ticket = store.ticket(first.trial.ticket, finder)
        except (LtxError, OSError):
            continue
        where = f"level {level}, seed {first.seed}"
        chain = wiring.connections(ticket.mask, ticket.state.weights)
        if chain and wiring.fits(chain):
            plots.append(wiring.plot(task, finder, where, chain))
        else:
            plots.append(mask_maps.plot(task, finder, where, ticket.mask))
    yield "wiring", plots


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
