"""Words of the page that depend on the metrics of a study's tasks."""

import dataclasses
from collections.abc import Iterable, Mapping

from markupsafe import Markup

from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.reporting import format
from ltx.reporting.report import Report


@dataclasses.dataclass(frozen=True)
class Words:
    """What a page calls its metrics, of which each task has one.

    `name` is that of the one metric, or "metric"; `error` and `tolerance` are those of stability.
    """

    metrics: Mapping[str, Metric]
    given_margin: float | None

    @property
    def kinds(self) -> list[Metric]:
        return list(dict.fromkeys(self.metrics.values())) or [ACCURACY]

    @property
    def one(self) -> Metric | None:
        """The metric of all tasks; None where they have several."""
        return self.kinds[0] if len(self.kinds) == 1 else None

    @property
    def name(self) -> str:
        return self.one.name if self.one else "metric"

    @property
    def title(self) -> str:
        """The name as it begins a heading."""
        return self.name[0].upper() + self.name[1:]

    @property
    def column(self) -> str:
        """The heading of test values of all tasks."""
        return f"test {self.one.label}" if self.one else "test metric"

    def beside(self, what: str) -> str:
        """The heading of test values of other networks, as in "dense, %"."""
        return f"{what}, {self.one.unit}" if self.one and self.one.unit else what

    def over(self, other: str) -> str:
        """The heading of gains over other networks."""
        return format.over(self.one, other) if self.one else f"better than {other}"

    @property
    def better(self) -> str:
        """Where in a plot against cost the better points are."""
        ways = {metric.higher_is_better for metric in self.kinds}
        if len(ways) == 2:
            return "To the left is cheaper; up or down is better, as the metric has it."
        return f"{'Up' if True in ways else 'Down'} and to the left is better."

    @property
    def losses(self) -> Markup:
        """What a ticket may lose, as in "dense's accuracy, less 0.3 points at most"."""
        return Markup(", or ").join(dict.fromkeys(self._loss(metric) for metric in self.kinds))

    def _loss(self, metric: Metric) -> Markup:
        sign = "less" if metric.higher_is_better else "plus"
        if self.given_margin is None and metric.relative:
            most = f"{100 * metric.margin:g}% of it"
        else:
            margin = metric.margin if self.given_margin is None else self.given_margin
            size = metric.scale * margin
            number = f"{round(size, 2)}" if metric.is_share else f"{size:.3g}"
            most = f"{number} {metric.difference_unit}"
        return Markup("dense's {}, {} {} at most").format(metric.name, sign, most)

    @property
    def barrier(self) -> str:
        """What rises at a barrier and how far it may, for a note."""
        shares = {metric.is_share for metric in self.kinds}
        if shares == {True}:
            return "2 %"
        return (
            "5 % of their mean" if shares == {False} else "2 % of a share, else 5 % of their mean"
        )

    def of(self, task: str) -> Metric:
        return self.metrics.get(task, ACCURACY)

    def value(self, line: Mapping) -> str:
        """The test value of a line of the table of trials, with its metric where several are."""
        metric = self.of(line["task"])
        value = line.get(f"test_{metric.key}")
        if value is None:
            return "-"
        return metric.number(value) if self.one else f"{metric.text(value)} {metric.name}"


def words_of(report: Report) -> Words:
    metrics = {row.task: row.trial.metric for row in report.record.rows}
    return Words(metrics, report.record.margin)


def further_columns(lines: Iterable[Mapping]) -> dict[str, str]:
    """The columns of further test metrics in the table of trials, with the names of the metrics."""
    names = {name: None for line in lines for name in line.get("further", ())}
    return {
        name: name.removeprefix("test_").replace("_", " ")
        for name in names
        if name.startswith("test_")
    }
