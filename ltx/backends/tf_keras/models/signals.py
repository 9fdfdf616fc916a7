"""Convolutional networks for signals and texts."""

from collections.abc import Sequence

import tf_keras

from ltx.backends.tf_keras.models.blocks import GLOROT_NORMAL, fresh, logits
from ltx.backends.tf_keras.models.layers import Masked
from ltx.backends.tf_keras.models.sequences import check_whole, joined, sequence
from ltx.core.errors import UsageError


def conv1d(
    input_shape: tuple[int, ...],
    classes: int,
    vocabulary: int = 0,
    filters: Sequence[int] = (25, 25, 25),
    sizes: Sequence[int] = (5, 3, 3),
    stride: int = 0,
    embedding: int = 16,
    read: str = "",
    initializer: str = GLOROT_NORMAL,
) -> tf_keras.Model:
    """Convolutions along signals or texts: three of 25; 5,210 weights for signals of length 40.

    Of signals the stride is 2 by default and the output layer reads "all" positions; of texts the
    stride is 1 and it reads the "max" of each feature. `read` may also be "mean".

    Reference: Greydanus & Kobak 2020, https://arxiv.org/abs/2011.14439 (for signals).
    """
    check_whole("conv1d", **{f"filters[{n}]": count for n, count in enumerate(filters)})
    check_whole("conv1d", **{f"sizes[{n}]": size for n, size in enumerate(sizes)})
    if not filters or len(filters) != len(sizes):
        raise UsageError(
            f"model 'conv1d': expected as many sizes as filters, got {filters!r} and {sizes!r}"
        )
    start = sequence("conv1d", input_shape, vocabulary, embedding)
    stride = stride or (1 if vocabulary else 2)
    check_whole("conv1d", stride=stride)
    if vocabulary and stride > 1:
        raise UsageError("model 'conv1d': expected stride 1 for tokens; leave it out")
    x = start.vectors
    for number, (count, size) in enumerate(zip(filters, sizes, strict=True), 1):
        if start.kept is not None:
            x = Masked(name=f"masked_{number}")([x, start.kept])
        x = tf_keras.layers.Conv1D(
            count,
            size,
            stride,
            padding="same",
            activation="relu",
            kernel_initializer=fresh(initializer),
            name=f"conv_{number}",
        )(x)
    x = joined("conv1d", x, start.kept, read or ("max" if vocabulary else "all"))
    return tf_keras.Model(start.inputs, logits(x, classes, initializer), name="conv1d")
