"""Program: one task's tf_keras model, optimizer and compiled loops; its variables are mutable."""

import functools
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras import devices, input_pipeline, optimizers
from ltx.backends.tf_keras.graph import channel_graph
from ltx.backends.tf_keras.graph.model_code import architecture, model_code
from ltx.backends.tf_keras.guard import Guard
from ltx.backends.tf_keras.loop import Loop, Report
from ltx.backends.tf_keras.loss import Loss
from ltx.backends.tf_keras.loss_scale import LossScale
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.measurement.derivatives import Derivatives
from ltx.backends.tf_keras.measurement.double_precision import DoublePrecision
from ltx.backends.tf_keras.measurement.evaluator import Evaluator
from ltx.backends.tf_keras.measurement.recalibration import BatchNormStatistics
from ltx.backends.tf_keras.measurement.signal_paths import SignalPaths
from ltx.backends.tf_keras.models import builder
from ltx.core.engine import Engine
from ltx.core.errors import DivergedError, UsageError
from ltx.core.mask import Mask
from ltx.core.prunable import Channels
from ltx.core.run import Metrics, diverged
from ltx.core.state import State
from ltx.core.task import Task
from ltx.data.dataset import Dataset

Arrays = Mapping[str, np.ndarray]

VERSION = 2  # part of every fingerprint: raise it when the same inputs may give other bytes


class Program:
    """Runs training segments of one task on one engine; `evaluator` measures between them.

    Masks, data order and learning rates are inputs, so one compilation serves every level, finder
    and seed. The bare model is trained; TF-MOT's wrappers share its variables, hold the masks and
    apply them at the end of a segment. Within it masked gradients keep pruned weights at zero.
    """

    GUARD: type[Guard] = Guard
    compiler: Mapping[str, str] = {}

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
            self.masked = MaskedModel(self.model, data.inputs, task.head)
            self.weights, self.masks = self.masked.weights, self.masked.masks
            self.optimizer = optimizers.make(
                task.recipe, self.weights, set(self.masks), engine.precision
            )
        task.recipe.check_scales(self.masked.scales, task.label)
        self.slots = optimizers.slots(self.optimizer, self.weights)
        self.fresh_slots = {name: slot.numpy() for name, slot in self.slots.items()}
        read = functools.partial(arrays, self.weights)
        self.loss_scale = LossScale(task, self.slots, self.fresh_slots, read)
        fits = data.nbytes <= engine.resident_mb << 20
        self.resident = input_pipeline.ResidentData(data) if fits else None
        pools = any("MaxPool" in type(layer).__name__ for layer in self.model._flatten_layers())
        self.xla = devices.use_xla(engine, self.masked.has_convolution, pools)
        with self.scope():
            self.loss = Loss(self.masked, data, task)
            self.masked.prunable  # noqa: B018 (an output layer that is unclear is refused here)
        self.evaluator = Evaluator(self.loss, data, self.resident, self.xla)
        self.derivatives = Derivatives(self.masked, self.loss, data, self.xla)
        self.double = DoublePrecision(task, engine, data, self.xla)
        self.batch_norm_statistics = BatchNormStatistics(
            self.masked, self.loss, task.recipe.augment, data.train, self.xla
        )
        if engine.deterministic:
            tf.config.experimental.enable_op_determinism()
        self._guard = self.GUARD(self.masked, task, self.slots)
        self._segment = self.loop(self._step, self._guard.report)
        # All finders of one seed start from one state, and their controls from a second one.
        self.fresh = functools.lru_cache(maxsize=2)(self._draw)

    def loop(self, step: Callable[..., None], report: Callable[[], Report]) -> Loop:
        """A compiled loop of `step` over the training data, with `report` after its last step."""
        return Loop(step, report, self.data, self.resident, self.strategy, self.xla)

    def build(self, seed: int) -> tf_keras.Model:
        """The task's model with the initial weights of this seed."""
        task, data = self.task, self.data
        outputs = task.objective.outputs(data.targets)
        return builder.build_for(
            task.model, data.inputs, outputs, task.model_args, seed, self.engine.precision
        )

    def _draw(self, seed: int) -> State:
        """The initial state of this seed, from a temporary model."""
        drawn = MaskedModel(self.build(seed))
        return State(arrays(drawn.weights), arrays(drawn.statistics))

    @property
    def kind(self) -> str:
        """The kind of device, CPU, GPU or TPU."""
        return "TPU" if self.engine.strategy == "tpu" else devices.kind(self.engine)

    @property
    def mode(self) -> str:
        """How segments run, as in "xla-loop": xla or graph, loop or stream."""
        return f"{'xla' if self.xla else 'graph'}-{'loop' if self.resident else 'stream'}"

    @functools.cached_property
    def architecture(self) -> str:
        """The hash of the model's configuration and weight shapes."""
        return architecture(self.model, self.weights)

    @functools.cached_property
    def code(self) -> str:
        """The hash of the code of a model that is the user's; "" for one of ltx or tf_keras."""
        if not builder.has_own_code(self.task.model):
            return ""
        masked, inference = self.masked, self.masked.inspection.forward_pass.function
        with self.scope():
            return model_code(self.model, inference, {**self.weights, **masked.statistics})

    @functools.cached_property
    def channels(self) -> tuple[Channels, ...]:
        """The channels that can be pruned whole; UsageError for a model without a graph."""
        return channel_graph.channels(self.model, self.masks)

    @functools.cached_property
    def paths(self) -> SignalPaths:
        """Which weights lie on a path from input to output; UsageError if that is undefined."""
        return SignalPaths(self.masked, self.data.inputs, self.task.label)

    # State in, state out

    def load(self, state: State, mask: Mask) -> None:
        """Load a state and a mask; pruned weights and their slots become zero."""
        self.fits(state, (self.slots, state.slots or self.fresh_slots))
        state = state.masked(mask)
        self._put(mask, state.weights, state.statistics)
        for name, slot in self.slots.items():
            slot.assign((state.slots or self.fresh_slots)[name])
        self.loss_scale.begin(state.weights)

    def show(self, state: State, mask: Mask, absolute: bool = False) -> None:
        """Load a state and a mask for measuring, without the optimizer's slots.

        Only training reads the slots, so they keep their values. `absolute` loads the absolute
        value of every variable.
        """
        self.fits(state)
        weights, statistics = mask.apply(state.weights), state.statistics
        if absolute:
            weights = {name: np.abs(array) for name, array in weights.items()}
            statistics = {name: np.abs(array) for name, array in statistics.items()}
        self._put(mask, weights, statistics)

    def _put(self, mask: Mask, weights: Arrays, statistics: Arrays) -> None:
        self.masked.set_masks(mask)
        self._guard.expect(mask)
        for name, variable in self.weights.items():
            variable.assign(weights[name])
        for name, variable in self.masked.statistics.items():
            variable.assign(statistics[name])

    def fits(self, state: State, *slots: tuple[Mapping[str, tf.Variable], Arrays]) -> None:
        """Raise UsageError unless the state has exactly the names and shapes of the variables."""
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
        """The state after the last segment; GuardError if a mask is not the one loaded."""
        self._guard.check_masks()
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
            self._guard.check(report, start + len(rates))
        self.loss_scale.check(start + len(rates))

    def evaluate(self) -> Metrics:
        """The validation metrics of what is loaded."""
        return self.evaluator.evaluate("validation")

    def diverged(self, what: str) -> DivergedError:
        """The error for what is not finite."""
        return diverged(self.task, what)

    def _step(self, inputs, targets, rate, step, seed) -> None:  # type: ignore[no-untyped-def]
        """One step of one replica: gradients are summed, masked, clipped and applied."""
        variables = list(self.weights.values())
        gradients = self.batch_gradients(variables, inputs, targets, step, seed)
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
        self, variables, inputs, targets, step, seed
    ) -> list[tf.Tensor]:
        """The gradients of the loss of a training batch, summed over all replicas."""
        count, recipe = self.loss.count(targets), self.task.recipe
        seed = tf.random.experimental.stateless_fold_in(seed, step)
        replica = tf.distribute.get_replica_context()
        if self.replicas > 1:
            number = replica.replica_id_in_sync_group
            inputs, targets = tf.nest.map_structure(
                lambda x: input_pipeline.share(x, self.replicas, number), (inputs, targets)
            )
            seed = tf.random.experimental.stateless_fold_in(seed, number)
        self.loss.seed_layers(seed)
        inputs = input_pipeline.augment(self.loss.scaled(inputs), recipe.augment, seed)
        with tf.GradientTape() as tape:
            outputs = self.loss.outputs(inputs, training=True)
            losses = self.loss.losses(outputs, targets, recipe.label_smoothing)
            loss = tf.reduce_sum(losses) / count + sum(self.model.losses) / self.replicas
            scaled = self.optimizer.get_scaled_loss(loss) if self._scales_loss else loss
        gradients = tape.gradient(scaled, variables, unconnected_gradients="zero")
        if self._scales_loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        if self.replicas > 1:
            gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
            self._share_statistics(replica)
        return gradients

    def _share_statistics(self, replica: tf.distribute.ReplicaContext) -> None:
        """Average BatchNorm statistics over the replicas, so that one state describes all."""
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
        # Before the optimizer, so that norms, clipping and slots see surviving weights only.
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

    def scope(self):  # type: ignore[no-untyped-def]
        """The context in which variables of this program are created."""
        return self.strategy.scope() if self.strategy else tf.device(devices.kind(self.engine))


def arrays(variables: Mapping[str, tf.Variable]) -> dict[str, np.ndarray]:
    """The values of the variables."""
    # Of the first replica: all hold the same, and a mean of three equal floats may differ.
    return {name: getattr(v, "values", (v,))[0].numpy() for name, v in variables.items()}
