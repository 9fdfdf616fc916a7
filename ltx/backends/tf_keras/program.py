"""Program: one task's Keras model, optimizer and compiled loops; the one thing that mutates."""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras import devices, input_pipeline, optimizers
from ltx.backends.tf_keras.evaluator import Evaluator
from ltx.backends.tf_keras.graph import channel_graph
from ltx.backends.tf_keras.loop import Loop, Report
from ltx.backends.tf_keras.loss import Loss
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models import builder
from ltx.backends.tf_keras.recalibration import BatchNormStatistics
from ltx.backends.tf_keras.signal_paths import SignalPaths
from ltx.core.engine import Engine
from ltx.core.errors import DivergedError, GuardError, UsageError
from ltx.core.mask import Mask
from ltx.core.prunable import Channels
from ltx.core.state import State
from ltx.core.task import Task
from ltx.data.dataset import Dataset

Arrays = Mapping[str, np.ndarray]

VERSION = 2  # part of every fingerprint: raise it when the same inputs may give other bytes


class Program:
    """Runs segments of training for one task on one engine; its `meter` measures between them.

    Masks, data order and learning rates are inputs, so one compilation serves every level, finder
    and seed. The bare model computes; TF-MOT's wrappers, which share its variables, hold the masks
    and apply them at the ends of a segment. In between masked gradients keep the zeros.
    """

    def __init__(self, task: Task, engine: Engine, data: Dataset) -> None:
        self.task, self.engine, self.data = task, engine, data
        self.strategy = devices.strategy(engine)
        self.replicas = self.strategy.num_replicas_in_sync if self.strategy else 1
        if task.recipe.batch_size % self.replicas:
            raise UsageError(
                f"Recipe.batch_size {task.recipe.batch_size}: expected a multiple of the"
                f" {self.replicas} replicas of the engine"
            )
        with self.scope():
            self.model = self.build(0)
            self.masked = MaskedModel(self.model)
            self.weights, self.masks = self.masked.weights, self.masked.masks
            self.optimizer = optimizers.make(
                task.recipe, self.weights, set(self.masks), engine.precision
            )
        task.recipe.check_scales(self.masked.scales, task.label)
        self.slots = optimizers.slots(self.optimizer, self.weights)
        self.fresh_slots = {name: slot.numpy() for name, slot in self.slots.items()}
        size = sum(split.nbytes for split in (data.train, data.validation, data.test))
        self.resident = (
            input_pipeline.ResidentData(data) if size <= engine.resident_mb << 20 else None
        )
        pools = any("MaxPool" in type(layer).__name__ for layer in self.model._flatten_layers())
        self.xla = devices.use_xla(engine, self.masked.has_convolution, pools)
        self.objective = Loss(self.masked, data)
        self.meter = Evaluator(self.masked, self.objective, data, self.resident, self.xla)
        self.calibration = BatchNormStatistics(
            self.masked, self.objective, task.recipe.augment, data.train, self.xla
        )
        if engine.deterministic:
            tf.config.experimental.enable_op_determinism()
        self._segment = self.loop(self._step, self._report)
        # All finders of one seed start from the same state, and their controls from one other.
        self.fresh = functools.lru_cache(maxsize=2)(self._draw)

    def loop(self, step: Callable[..., None], report: Callable[[], Report]) -> Loop:
        """A compiled loop of such steps over this program's data."""
        return Loop(step, report, self.data, self.resident, self.strategy, self.xla)

    def build(self, seed: int) -> tf_keras.Model:
        """The task's model with the initial weights of this seed."""
        task, data = self.task, self.data
        return builder.build(
            task.model, data.image, data.classes, task.model_args, seed, self.engine.precision
        )

    def _draw(self, seed: int) -> State:
        """The initial state of this seed, from a model that is built and thrown away."""
        drawn = MaskedModel(self.build(seed))
        return State(arrays(drawn.weights), arrays(drawn.statistics))

    @property
    def kind(self) -> str:
        """The kind of device, CPU, GPU or TPU."""
        return "TPU" if self.engine.strategy == "tpu" else devices.kind(self.engine)

    @property
    def mode(self) -> str:
        """How segments run, for manifests: xla or graph, loop or stream."""
        return f"{'xla' if self.xla else 'graph'}-{'loop' if self.resident else 'stream'}"

    @functools.cached_property
    def architecture(self) -> str:
        """The hash of the model's configuration and weight shapes."""
        try:
            config = json.dumps(self.model.get_config(), sort_keys=True, default=str)
        except NotImplementedError:  # a subclassed model need not have one
            config = ""
        shapes = {name: tuple(variable.shape) for name, variable in self.weights.items()}
        return hashlib.sha256(f"{config}{shapes}".encode()).hexdigest()[:16]

    @functools.cached_property
    def channels(self) -> tuple[Channels, ...]:
        """The channels that can be dropped whole; UsageError where the model has no graph."""
        return channel_graph.channels(self.model, self.masks)

    # State in, state out

    def load(self, state: State, mask: Mask) -> None:
        """Put a state and a mask into the model; what the mask prunes becomes zero, slots too."""
        self._fits(state, (self.slots, state.slots or self.fresh_slots))
        state = state.masked(mask)
        self._put(mask, state.weights, state.statistics)
        for name, slot in self.slots.items():
            slot.assign((state.slots or self.fresh_slots)[name])

    def show(self, state: State, mask: Mask) -> None:
        """Put a state and a mask in to be measured: `load` without the optimizer's slots.

        Those stay what they were, since nothing but training reads them.
        """
        self._fits(state)
        self._put(mask, mask.apply(state.weights), state.statistics)

    def _put(self, mask: Mask, weights: Arrays, statistics: Arrays) -> None:
        self.masked.set_masks(mask)
        self._kept = {name: int(np.count_nonzero(keep)) for name, keep in mask.items()}
        for name, variable in self.weights.items():
            variable.assign(weights[name])
        for name, variable in self.masked.statistics.items():
            variable.assign(statistics[name])

    def _fits(self, state: State, *slots: tuple[Mapping[str, tf.Variable], Arrays]) -> None:
        """Refuse a state whose values are not exactly those that the variables take."""
        own = ((self.weights, state.weights), (self.masked.statistics, state.statistics))
        for group, values in (*own, *slots):
            if wrong := sorted(group.keys() ^ values.keys()):
                raise UsageError(
                    f"state {state.id}: {wrong[0]} is not in both the state and {self.task.label};"
                    " the state comes from another model or optimizer"
                )
            for name, variable in group.items():
                if tuple(variable.shape) != values[name].shape:
                    raise UsageError(
                        f"state {state.id}: {name} has shape {values[name].shape}, expected"
                        f" {tuple(variable.shape)} for {self.task.label}"
                    )

    def read(self, step: int) -> State:
        """The state that the last segment left; the masks must be those that were loaded."""
        for name, keep in self.masked.get_masks().items():
            if int(keep.sum()) != self._kept[name]:
                raise GuardError(
                    f"{self.task.label}: the mask of {name} changed; please report this"
                )
        weights, slots = arrays(self.weights), arrays(self.slots)
        return State(weights, arrays(self.masked.statistics), slots, step)

    # Training

    def run(
        self, table: np.ndarray, rates: np.ndarray, start: int, seed: np.ndarray, window: int
    ) -> None:
        """Train on the batches of `table`, int32 [steps, batch], with these learning rates.

        At most `window` steps; the tables are padded to it, so that nothing is compiled twice.
        """
        for report in self._segment(table, rates, start, seed, window):
            self._guard(report, start + len(rates))

    def _step(self, images, labels, rate, step, seed) -> None:  # type: ignore[no-untyped-def]
        """One step of one replica: gradients summed, then masked, clipped and applied."""
        variables = list(self.weights.values())
        gradients = self.batch_gradients(variables, images, labels, step, seed)
        if self.task.recipe.scale_l1:
            gradients = self._with_scale_l1(gradients)
        gradients = self._decayed_and_masked(gradients)
        if self.task.recipe.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.task.recipe.clip_norm)
        optimizers.unwrap(self.optimizer).learning_rate.assign(rate)
        self.optimizer.apply_gradients(
            zip(gradients, variables, strict=True), skip_gradients_aggregation=True
        )

    def batch_gradients(  # type: ignore[no-untyped-def]
        self, variables, images, labels, step, seed
    ) -> list[tf.Tensor]:
        """The gradients of a training batch's loss, of one replica summed over all."""
        batch, recipe = int(images.shape[0]), self.task.recipe
        seed = tf.random.experimental.stateless_fold_in(seed, step)
        replica = tf.distribute.get_replica_context()
        if self.replicas > 1:
            number = replica.replica_id_in_sync_group
            images, labels = (
                input_pipeline.share(x, self.replicas, number) for x in (images, labels)
            )
            seed = tf.random.experimental.stateless_fold_in(seed, number)
        self.objective.seed_layers(seed)
        images = input_pipeline.augment(self.objective.scaled(images), recipe.augment, seed)
        with tf.GradientTape() as tape:
            losses = self.objective.losses(images, labels, recipe.label_smoothing)
            loss = tf.reduce_sum(losses) / batch + sum(self.model.losses) / self.replicas
            scaled = self.optimizer.get_scaled_loss(loss) if self._scales_loss else loss
        gradients = tape.gradient(scaled, variables, unconnected_gradients="zero")
        if self._scales_loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        if self.replicas > 1:
            gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
            self._share_statistics(replica)
        return gradients

    def _share_statistics(self, replica: tf.distribute.ReplicaContext) -> None:
        """Keep BatchNorm's statistics alike on all replicas, so that a state is all there is."""
        statistics = list(self.masked.statistics.values())
        if statistics:
            means = replica.all_reduce(
                tf.distribute.ReduceOp.MEAN, [tf.identity(v) for v in statistics]
            )
            for variable, mean in zip(statistics, means, strict=True):
                variable.assign(mean)

    @property
    def _scales_loss(self) -> bool:
        return self.engine.precision == "float16"

    def _with_scale_l1(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        strength, scales = self.task.recipe.scale_l1, self.masked.scales
        return [
            gradient + strength * tf.sign(weight) if name in scales else gradient
            for (name, weight), gradient in zip(self.weights.items(), gradients, strict=True)
        ]

    def _decayed_and_masked(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        # Before the optimizer, so that norms, clipping and slots see only what exists.
        recipe = self.task.recipe
        decay = 0.0 if recipe.optimizer == "adamw" else recipe.weight_decay
        result = []
        for (name, weight), gradient in zip(self.weights.items(), gradients, strict=True):
            mask = self.masks.get(name)
            if mask is None:
                result.append(gradient)
            else:
                result.append((gradient + decay * weight if decay else gradient) * mask)
        return result

    def _report(self) -> tuple[tf.Tensor, ...]:
        """What the guard needs, taken before TF-MOT zeroes once more what the masks prune."""
        finite = [tf.reduce_all(tf.math.is_finite(v)) for v in self.weights.values()]
        leaks, sizes = [tf.zeros((), tf.int32)], [tf.zeros((), tf.int32)]
        for name, mask in self.masks.items():
            leaks.append(tf.math.count_nonzero(self.weights[name] * (1 - mask), dtype=tf.int32))
            sizes.append(tf.math.count_nonzero(mask, dtype=tf.int32))
        report = (tf.stack(finite), tf.stack(leaks[1:] or leaks), tf.stack(sizes[1:] or sizes))
        with tf.control_dependencies(report):
            self.masked.apply()
        return report

    def _guard(self, report: tuple[tf.Tensor, ...], step: int) -> None:
        """Fail loudly where a weight is not finite, a pruned one is not zero or a mask changed."""
        finite, leaks, sizes = (part.numpy() for part in report)
        if not finite.all():
            name = list(self.weights)[int(np.argmin(finite))]
            raise DivergedError(
                f"{self.task.label}: training diverged before step {step}, {name} is not finite;"
                f" lower Recipe.learning_rate ({self.task.recipe.learning_rate:g})"
                " or set Recipe.clip_norm"
            )
        for name, leak, size in zip(self.masks, leaks, sizes, strict=False):
            if leak or size != self._kept[name]:
                raise GuardError(
                    f"{self.task.label}, step {step}: {name} has {leak} pruned weights that are not"
                    f" zero, its mask keeps {size} and should keep {self._kept[name]};"
                    " please report this"
                )

    def synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        """The derivatives of the summed logits, all variables absolute, for an image of ones."""
        self._fits(state)
        statistics = {name: np.abs(array) for name, array in state.statistics.items()}
        weights = {name: np.abs(array) for name, array in mask.apply(state.weights).items()}
        self._put(mask, weights, statistics)
        return self.meter.synaptic_flow()

    @functools.cached_property
    def _paths(self) -> SignalPaths:
        return SignalPaths(self.masked, self.data.image, self.task.label)

    def effective(self, mask: Mask) -> Mask:
        """The survivors on a path of survivors from the image to the outputs."""
        with self.scope():
            return self._paths.effective(mask)

    def scope(self):  # type: ignore[no-untyped-def]
        """Where variables of this program are made."""
        return self.strategy.scope() if self.strategy else tf.device(devices.kind(self.engine))


def arrays(variables: Mapping[str, tf.Variable]) -> dict[str, np.ndarray]:
    """The variables' values."""
    # The first replica's: all hold the same, and a mean of three equal numbers need not be equal.
    return {name: getattr(v, "values", (v,))[0].numpy() for name, v in variables.items()}
