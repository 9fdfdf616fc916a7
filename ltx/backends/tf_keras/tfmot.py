"""TF-MOT behind one door: its pruning wrapper, schedules, block and N:M options and registry.

The only module that imports tensorflow_model_optimization.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator

import tensorflow as tf
import tf_keras

from ltx.core.prunable import Weight
from ltx.pruning.patterns import Blocks, NofM
from ltx.pruning.schedules import PolynomialDecay
from ltx.pruning.structures import Structure


@contextlib.contextmanager
def hide_module(name: str) -> Iterator[None]:
    """Make the import of module `name` fail at once, unless it is already imported.

    Without this Python would import the parent packages of `name` before it finds it missing.
    """
    before = name in sys.modules
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        if not before:
            del sys.modules[name]


# TF-MOT looks for a module that only Keras 2 had. Python would load all of Keras 3 and
# scikit-learn before it reports it missing, a third of the start-up time of `ltx run`.
with hide_module("keras.engine"):
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.sparsity.keras import prune_registry
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper import (
        PruneLowMagnitude,
    )

layers = tf_keras.layers

# TF-MOT prunes no depthwise kernels and refuses EinsumDense. Its registry is private, but only an
# entry there survives saving and loading: an attribute of the layer object does not.
prune_registry.PruneRegistry._LAYERS_WEIGHTS_MAP.update(
    {
        layers.DepthwiseConv1D: ["depthwise_kernel"],
        layers.DepthwiseConv2D: ["depthwise_kernel"],
        layers.SeparableConv1D: ["depthwise_kernel", "pointwise_kernel"],
        layers.SeparableConv2D: ["depthwise_kernel", "pointwise_kernel"],
        layers.EinsumDense: ["kernel"],
    }
)


@tf_keras.saving.register_keras_serializable("ltx")
class FixedMask(tfmot.sparsity.keras.PruningSchedule):
    """A TF-MOT schedule that never updates a mask."""

    def __call__(self, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.constant(False), tf.constant(0.0)

    def get_config(self) -> dict[str, object]:
        # Under any other class name TF-MOT silently loads a str in the place of the schedule.
        return {"class_name": tf_keras.saving.get_registered_name(type(self)), "config": {}}


def step_callback() -> tf_keras.callbacks.Callback:
    """TF-MOT's UpdatePruningStep, which `model.fit` needs to train a `wrapped()` model."""
    return tfmot.sparsity.keras.UpdatePruningStep()


def prunable_weights(layer: tf_keras.layers.Layer) -> list[tf.Variable]:
    """The weights of a layer that TF-MOT can prune; none if it cannot wrap the layer."""
    if not hasattr(layer, "get_prunable_weights"):
        if not prune_registry.PruneRegistry.supports(layer):
            return []
        prune_registry.PruneRegistry.make_prunable(layer)
    return [weight for weight in layer.get_prunable_weights() if hasattr(weight, "assign")]


def wrap(layer: tf_keras.layers.Layer) -> PruneLowMagnitude:
    """A built wrapper that shares the layer's variables and holds masks of ones.

    Its `pruning_vars` are the weights, masks and thresholds of the layer.
    """
    return _wrap(layer, FixedMask())


def can_compute(schedule: PolynomialDecay, weights: Iterable[Weight]) -> bool:
    """Whether TF-MOT can make masks by this schedule of all of these weights."""
    # It drops an axis along which there is a single block, and then misses it.
    structure = schedule.structure
    if not isinstance(structure, Blocks):
        return True
    sides = (structure.height, structure.width)
    return all(
        length > side
        for weight in weights
        for length, side in zip(weight.shape, sides, strict=True)
    )


def scheduled_masks(
    layer: tf_keras.layers.Layer, schedule: PolynomialDecay, step: int
) -> dict[object, tf.Variable]:
    """The masks that TF-MOT computes by `schedule` after `step` steps, by weight reference."""
    wrapper = _wrap(layer, _schedule(schedule), **_options(schedule.structure))
    # TF-MOT computes N:M masks at its first step only.
    wrapper.pruning_step.assign(1 if isinstance(schedule.structure, NofM) else step + 1)
    wrapper.pruning_obj.conditional_mask_update()
    return {weight.ref(): mask for weight, mask, _ in wrapper.pruning_vars}


def _wrap(
    layer: tf_keras.layers.Layer, schedule: tfmot.sparsity.keras.PruningSchedule, **options: object
) -> PruneLowMagnitude:
    # The layer's own policy: a float32 head in a half-precision model fails under the global one.
    wrapper = PruneLowMagnitude(layer, schedule, **options, dtype=layer.dtype_policy)
    wrapper.build(None)
    return wrapper


def _schedule(schedule: PolynomialDecay) -> tfmot.sparsity.keras.PolynomialDecay:
    """TF-MOT's schedule, which counts the step about to be taken where ltx counts steps taken."""
    return tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=1 - schedule.start,
        final_sparsity=1 - schedule.density,
        begin_step=schedule.begin + 1,
        end_step=schedule.end + 1,
        power=schedule.power,
        frequency=schedule.every,
    )


def _options(structure: Structure) -> dict[str, object]:
    """TF-MOT's arguments for a structure of pruned weights."""
    if isinstance(structure, Blocks):
        pooling = {"average": "AVG", "max": "MAX"}[structure.pooling]
        return {
            "block_size": (structure.height, structure.width),
            "block_pooling_type": pooling,
        }
    if isinstance(structure, NofM):  # TF-MOT counts the pruned weights of a group
        return {"sparsity_m_by_n": (structure.m - structure.n, structure.m)}
    return {}
