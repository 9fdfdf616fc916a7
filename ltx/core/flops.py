"""Flops: what it costs to send examples through a network's prunable weights under a mask."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from ltx.core.cost import Cost
from ltx.core.mask import Mask
from ltx.core.weight import Weight

# Per weight and example; a multiply-add is 2. One third goes forward, one back to the layer's
# inputs, and one to the weights' gradients, which training needs for the survivors only.
TRAINING_FLOPS = 6
GRADIENT_FLOPS = 2


def forward_backward(
    examples: int, prunable: Iterable[Weight], mask: Mask, unmasked: int = 0
) -> Cost:
    """What it costs to send `examples` forward and back; it counts no steps.

    `unmasked` of the TRAINING_FLOPS are spent on pruned weights as well.
    """
    dense = kept = 0
    for weight in prunable:
        dense += weight.size * weight.uses
        kept += int(np.count_nonzero(mask[weight.name])) * weight.uses
    flops = (TRAINING_FLOPS - unmasked) * kept + unmasked * dense
    return Cost(0, examples, dense * TRAINING_FLOPS * examples, flops * examples)


def forward(examples: int, prunable: Iterable[Weight], mask: Mask) -> Cost:
    """What it costs to send `examples` forward alone: a third."""
    made = forward_backward(examples, prunable, mask)
    return dataclasses.replace(made, dense_flops=made.dense_flops // 3, flops=made.flops // 3)
