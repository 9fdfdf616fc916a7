"""Weight: what a finder may know of one prunable weight tensor without seeing the model."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Weight:
    """One prunable weight tensor of a task's model.

    `kind` is "conv" (any convolution) or "dense" (everything else). `uses` counts the
    multiplications that one entry takes part in for one example: 1 in a dense layer, the number
    of output positions in a convolution. `is_output` marks the layer that makes the logits. `made`
    are the axes along which its output units lie: neurons, or feature maps.
    """

    name: str
    shape: tuple[int, ...]
    kind: str = "dense"
    uses: int = 1
    is_output: bool = False
    made: tuple[int, ...] = (-1,)

    @property
    def size(self) -> int:
        return math.prod(self.shape)
