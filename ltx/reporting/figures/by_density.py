"""The metric on the test split and the early stop by density."""

from collections.abc import Sequence

from ltx.analysis.curves import Curve
from ltx.reporting.figures import lines, style
from ltx.reporting.figures.style import Plot
from ltx.reporting.format import brief, measure, steps


def values(task: str, curves: Sequence[Curve]) -> Plot:
    """The metric's test value by density, with the 95% intervals over seeds as bands."""
    metric = curves[0].metric
    figure, axes = style.metric_axes(task, style.DENSITY, metric)
    lines.density_axis(axes, curves)
    tips = lines.draw_metric(
        axes,
        curves,
        lambda point: point.density,
        lambda point: f"{measure(point.value, metric, unit=True)} {lines.at_density(point)}",
    )
    dense = [curve.points[0] for curve in curves if curve.points[0].density == 1]
    if dense:
        axes.axhline(dense[0].value.mean, color=style.INK, linewidth=0.6, linestyle=(0, (1, 2)))
    text = "; ".join(
        lines.describe_ends(curve, lambda p: brief(p.value.mean, metric)) for curve in curves
    )
    title = f"{task}: {metric.name} by density"
    return Plot(style.file_name(metric.name, task), title, text, figure, tips)


def early_stops(task: str, curves: Sequence[Curve]) -> Plot | None:
    """The step with the least validation loss by density; None where no trial has one."""
    if not any(point.early_stop.count for curve in curves for point in curve.points):
        return None
    figure, axes = style.axes(task, style.DENSITY, "early-stopping step")
    lines.density_axis(axes, curves)
    style.si_prefixes(axes.yaxis)
    tips = lines.draw(
        axes,
        curves,
        lambda point: point.density,
        lambda point: point.early_stop,
        lambda point: f"step {steps(point.early_stop)} {lines.at_density(point)}",
    )
    text = "; ".join(
        lines.describe_ends(curve, lambda p: f"step {p.early_stop.mean:.0f}") for curve in curves
    )
    title = f"{task}: early stopping by density"
    return Plot(style.file_name("early-stop", task), title, text, figure, tips)
