"""Effective: what of a mask takes part in anything, since on a path from image to outputs."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ltx.core.errors import UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask

USELESS = 0.1  # of the weights kept, from which on it is worth a warning


@dataclasses.dataclass(frozen=True)
class EffectiveSparsity:
    """How much of the network that a mask leaves is connected.

    `effective_density` is the share of all prunable weights that survive on a path of survivors;
    `useless` the share of the survivors that the mask, and not padding, took off every path.
    `dead_units` are the output units of each layer, of so many `units`, that no effective weight
    makes. `cut_at` names the first layer at which no path goes on, where none reaches the outputs.

    Reference: Vysogorets & Kempe, Connectivity Matters: Neural Network Pruning Through the Lens of
    Effective Sparsity, https://arxiv.org/abs/2107.02306
    """

    effective_density: float
    useless: float
    dead_units: Mapping[str, int]
    units: Mapping[str, int]
    cut_at: str | None = None

    @classmethod
    def of(cls, lab: Lab, mask: Mask) -> "EffectiveSparsity":
        """What the lab's network is under the mask; UsageError where its layers do not tell."""
        found = lab.effective(mask)
        useful = (mask & lab.effective(lab.dense())).kept
        units, dead = {}, {}
        for weight in lab.prunable:
            axes = {axis % len(weight.shape) for axis in weight.made}
            others = tuple(axis for axis in range(len(weight.shape)) if axis not in axes)
            alive = found[weight.name].any(axis=others)
            units[weight.name] = alive.size
            dead[weight.name] = alive.size - int(np.count_nonzero(alive))
        return cls(
            effective_density=found.density,
            useless=1 - found.kept / useful if useful else 1.0,
            dead_units=dead,
            units=units,
            cut_at=None if found.kept else _cut(lab, mask),
        )

    @classmethod
    def read(cls, manifest: Mapping) -> "EffectiveSparsity | None":
        """What a ticket's manifest says of it; None where it was not measured."""
        names = [field.name for field in dataclasses.fields(cls)]
        if manifest.get("effective_density") is None:
            return None
        return cls(**{name: manifest[name] for name in names})

    def alarm(self) -> str:
        """What is wrong with the network, in half a sentence; "" where nothing is."""
        if self.cut_at is not None:
            return (
                "disconnected, so that it cannot learn: no path of surviving weights leads from"
                f" the image to the outputs; it ends at {self.cut_at}"
            )
        if self.useless <= USELESS:
            return ""
        dead = [
            f"{count} of {self.units[name]} in {name}"
            for name, count in self.dead_units.items()
            if count
        ]
        return (
            f"{self.useless:.0%} of its weights are useless, on no path of surviving weights from"
            f" the image to the outputs: its effective density is {self.effective_density:.2%};"
            f" dead units: {', '.join(dead) or 'none'}"
        )


def _cut(lab: Lab, mask: Mask) -> str:
    """The first layer, in the model's order, with which the masks up to it leave no path."""
    names, dense = [weight.name for weight in lab.prunable], lab.dense()

    def ends(count: int) -> bool:
        masked = {name: mask[name] for name in names[:count]}
        made = Mask({**dense, **masked})
        return not made.kept or not lab.effective(made).kept

    low, high = 0, len(names)  # a path is left under the first `low` masks, and none under `high`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if ends(middle) else (middle, high)
    return names[high - 1]


def measure(lab: Lab, mask: Mask) -> "EffectiveSparsity | str | None":
    """What `Effective.of` finds; the reason where it cannot, and None for a dense mask."""
    if mask.kept == mask.size:
        return None
    try:
        return EffectiveSparsity.of(lab, mask)
    except UsageError as error:
        return str(error)
