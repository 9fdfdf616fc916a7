"""Effective sparsity: the surviving weights that lie on a path from input to output."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask

MOST_DISCONNECTED = 0.1  # share of the surviving weights, above which there is a warning
_STORED_NAMES = {"disconnected_share": "useless", "severed_at": "cut_at"}


@dataclasses.dataclass(frozen=True)
class EffectiveSparsity:
    """How much of the network that a mask leaves is connected.

    `effective_density` is the share of all prunable weights that survive and lie on a path of
    surviving weights; `disconnected_share` the share of the survivors that the mask, and not
    padding, took off every path. `dead_units` counts the output units of each layer, of `units` in
    all, that no effective weight feeds. `severed_at` names the first layer at which all paths end,
    if none reaches the outputs.

    Reference: Vysogorets & Kempe, Connectivity Matters: Neural Network Pruning Through the Lens of
    Effective Sparsity, https://arxiv.org/abs/2107.02306
    """

    effective_density: float
    disconnected_share: float
    dead_units: Mapping[str, int]
    units: Mapping[str, int]
    severed_at: str | None = None

    @classmethod
    def of(cls, lab: Lab, mask: Mask) -> "EffectiveSparsity":
        """Measure the lab's network under the mask; UsageError if its layers cannot be traced."""
        effective = lab.effective(mask)
        connectable = (mask & lab.effective(lab.dense())).kept
        units, dead = {}, {}
        for weight in lab.prunable:
            axes = {axis % len(weight.shape) for axis in weight.made}
            others = tuple(axis for axis in range(len(weight.shape)) if axis not in axes)
            alive = effective[weight.name].any(axis=others)
            units[weight.name] = alive.size
            dead[weight.name] = alive.size - int(np.count_nonzero(alive))
        return cls(
            effective_density=effective.density,
            disconnected_share=1 - effective.kept / connectable if connectable else 1.0,
            dead_units=dead,
            units=units,
            severed_at=None if effective.kept else _severed_at(lab, mask),
        )

    def document(self) -> dict[str, object]:
        """Plain JSON data, as it stands in a ticket's manifest."""
        return {_STORED_NAMES.get(name, name): v for name, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_document(cls, manifest: Mapping) -> "EffectiveSparsity | None":
        """Read it from a ticket's manifest; None if it was not measured."""
        if manifest.get("effective_density") is None:
            return None
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: manifest[_STORED_NAMES.get(name, name)] for name in names})

    def warning(self) -> str:
        """What is wrong with the network, as half a sentence; "" if nothing is."""
        if self.severed_at is not None:
            return (
                "disconnected, so that it cannot learn: no path of surviving weights leads from"
                f" the inputs to the outputs; it ends at {self.severed_at}"
            )
        if self.disconnected_share <= MOST_DISCONNECTED:
            return ""
        dead = [
            f"{count} of {self.units[name]} in {name}"
            for name, count in self.dead_units.items()
            if count
        ]
        return (
            f"{self.disconnected_share:.0%} of its weights are useless, on no path of surviving"
            " weights from the inputs to the outputs: its effective density is"
            f" {self.effective_density:.2%}; dead units: {', '.join(dead) or 'none'}"
        )


def _severed_at(lab: Lab, mask: Mask) -> str:
    """The first layer, in the model's order, whose mask together with those before it cuts all."""
    names, dense = [weight.name for weight in lab.prunable], lab.dense()

    def severed(count: int) -> bool:
        """Whether no path is left when only the first `count` layers are masked."""
        masked = Mask({**dense, **{name: mask[name] for name in names[:count]}})
        return not masked.kept or not lab.effective(masked).kept

    low, high = 0, len(names)  # not severed(low), severed(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if severed(middle) else (middle, high)
    return names[high - 1]


def measure(lab: Lab, mask: Mask) -> "EffectiveSparsity | str | None":
    """The effective sparsity, the reason why it cannot be measured, or None for a dense mask."""
    if mask.kept == mask.size:
        return None
    try:
        return EffectiveSparsity.of(lab, mask)
    except UsageError as error:
        return str(error)
