"""Layer map: a share of every layer at every level, as a heat map."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import Normalize

from ltx.reporting.figures import heat_map
from ltx.reporting.figures import style as plot
from ltx.reporting.figures.style import Plot


@dataclasses.dataclass(frozen=True)
class LayerMap:
    """Means over seeds, float [layers, levels]; NaN where nothing is known."""

    names: Sequence[str]
    levels: Sequence[int]
    values: np.ndarray

    @classmethod
    def of(cls, found: Mapping[tuple[str, int], Sequence[float]]) -> "LayerMap":
        """The map of what each seed has in each layer at each level."""
        names = sorted({name for name, _ in found}, key=_natural)
        levels = sorted({level for _, level in found})
        values = [[np.mean(found.get((n, v), [math.nan])) for v in levels] for n in names]
        return cls(names, levels, np.array(values))

    def plot(self, what: str, task: str, finder: str, unit: str, norm: Normalize, say: str) -> Plot:
        """`what` is in the plot's names; `say` is how its words write a share, as in ".1%"."""
        names, levels = list(map(_short, self.names)), list(map(str, self.levels))
        figure, axes = heat_map.grid(len(names), names, levels)
        heat_map.title(axes, plot.truncate(f"{finder} on {task}", 40))
        axes.set_xlabel("level")
        heat_map.cells(figure, axes, self.values, norm, "cividis", unit, lambda v: f"{100 * v:.3g}")
        last = zip(self.names, self.values[:, -1], strict=True)
        text = f"At level {levels[-1]}: {', '.join(f'{name} {v:{say}}' for name, v in last)}."
        title = f"{finder} on {task}: {what}"
        return Plot(plot.file_name(what, task, finder), title, text, figure)


def _short(name: str) -> str:
    """The end of a weight's name, which tells layers apart, without what all names end in."""
    name = name.removesuffix("/kernel")
    return name if len(name) <= 23 else f"…{name[-22:]}"


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that puts layer 10 after layer 9."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
