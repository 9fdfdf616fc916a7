"""MaskProgram: compiled training of masks on a program's model, whose weights stay fixed."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras.guard import are_finite, floats
from ltx.backends.tf_keras.loop import Report
from ltx.backends.tf_keras.program import Program, arrays
from ltx.core.errors import DivergedError, GuardError, UsageError
from ltx.core.mask import Mask, MaskLearner
from ltx.core.run import Metrics
from ltx.core.state import State
from ltx.pruning.learned_masks import Bernoulli, EdgePopup


class MaskProgram:
    """Trains a score for each prunable weight of a program's model, by one method.

    In every step the model's weights are the loaded ones times the step's mask; at the end of a
    segment they are restored bit by bit. Runs on one device.
    """

    def __init__(self, program: Program, method: MaskLearner) -> None:
        if not isinstance(method, EdgePopup | Bernoulli):  # those that `_chosen` has in TensorFlow
            raise UsageError(
                f"KerasLab learns masks by EdgePopup or Bernoulli, got {method!r}; try other"
                " methods on ltx.testing.FakeLab"
            )
        if program.strategy is not None or program.engine.precision == "float16":
            raise UsageError(
                "Engine: masks are learned on one device, in float32 or bfloat16, got strategy"
                f" {program.engine.strategy!r} and precision {program.engine.precision!r};"
                " set Engine.strategy = 'one' and another Engine.precision"
            )
        self._inner, self._method = program, method
        shapes = {weight.name: weight.shape for weight in program.masked.prunable}
        with program.scope():
            self._fixed, self._scores, self._velocities = (
                {name: tf.Variable(tf.zeros(shape), name=kind) for name, shape in shapes.items()}
                for kind in ("fixed", "score", "momentum")
            )
            self._counts = {name: tf.Variable(0, dtype=tf.int64) for name in shapes}
        self._floats = floats(
            {f"the scores of {name}": score for name, score in self._scores.items()},
            {f"the momentum of {name}": velocity for name, velocity in self._velocities.items()},
            program.masked.statistics,
        )
        self._segment = program.loop(self._step, self._report)

    def load(self, state: State, mask: Mask) -> None:
        """Load a state with scores; weights that the mask prunes stay pruned."""
        self._inner.show(state, mask)
        self._state, self._mask = state, mask
        for name, fixed in self._fixed.items():
            fixed.assign(self._inner.weights[name])
            self._scores[name].assign(state.slots[f"score:{name}"])
            self._velocities[name].assign(state.slots[f"score_momentum:{name}"])
        if isinstance(self._method, EdgePopup):
            for name, count in self._method.counts(mask).items():
                self._counts[name].assign(count)

    def run(
        self, table: np.ndarray, rates: np.ndarray, start: int, seed: np.ndarray, window: int
    ) -> None:
        """Train the scores on the batches of `table`, as `Program.run` trains weights."""
        *_, report = self._segment(table, rates, start, seed, window)
        finite = report[0].numpy()
        if not finite.all():
            name = list(self._floats)[int(np.argmin(finite))]
            raise self.diverged(f"training diverged before step {start + len(rates)}, {name}")

    def diverged(self, what: str) -> DivergedError:
        """The error for what is not finite, with the rate of this method to lower."""
        method = self._method
        return DivergedError(
            f"{self._inner.task.label}: {what}: not finite; lower"
            f" {type(method).__name__}.learning_rate ({method.learning_rate:g})"
        )

    def learned(self) -> Mask:
        """The mask of the current scores."""
        return self._method.mask(arrays(self._scores), self._mask)

    def evaluate(self) -> Metrics:
        """The validation metrics under the mask of the current scores."""
        for name, keep in self.learned().items():
            self._inner.weights[name].assign(self._fixed[name] * keep.astype(np.float32))
        result = self._inner.evaluator.evaluate("validation")
        for name, fixed in self._fixed.items():
            self._inner.weights[name].assign(fixed)
        return result

    def read(self, step: int) -> State:
        """The trained state: the loaded weights, new scores and statistics."""
        expected = self._mask.apply(self._state.weights)
        for name, now in arrays(self._inner.weights).items():
            if not np.array_equal(now, expected[name]):
                raise GuardError(
                    f"{self._inner.task.label}, step {step}: {name} changed while its mask was"
                    " learned; please report this"
                )
        slots = {f"score:{name}": array for name, array in arrays(self._scores).items()}
        slots |= {
            f"score_momentum:{name}": array for name, array in arrays(self._velocities).items()
        }
        statistics = arrays(self._inner.masked.statistics)
        return self._state.replace(statistics=statistics, slots=slots, step=step)

    def _step(self, inputs, targets, rate, step, seed) -> None:  # type: ignore[no-untyped-def]
        inner, method = self._inner, self._method
        keeps, slopes = self._mask_and_slopes(
            tf.random.experimental.stateless_fold_in(seed + 1, step)
        )
        for name, keep in keeps.items():
            inner.weights[name].assign(self._fixed[name] * keep)
        variables = [inner.weights[name] for name in self._scores]
        gradients = inner.batch_gradients(variables, inputs, targets, step, seed)
        for (name, score), gradient in zip(self._scores.items(), gradients, strict=True):
            # A pruned weight is fixed at zero, so its score has no gradient.
            slope = gradient * self._fixed[name] * slopes[name]
            velocity = self._velocities[name]
            velocity.assign(method.momentum * velocity - rate * slope)
            score.assign_add(velocity)

    def _mask_and_slopes(
        self, seed: tf.Tensor
    ) -> tuple[Mapping[str, tf.Tensor], Mapping[str, tf.Tensor]]:
        """The step's mask and the factor of each score's gradient, in TensorFlow operations."""
        keeps, slopes = {}, {}
        for number, (name, score) in enumerate(self._scores.items()):
            alive = self._inner.masks[name]
            if isinstance(self._method, EdgePopup):
                keeps[name] = _highest(score, alive, self._counts[name])
                slopes[name] = tf.ones_like(score)
            else:
                probability = tf.sigmoid(score)
                key = tf.random.experimental.stateless_fold_in(seed, number)
                drawn = tf.random.stateless_uniform(score.shape, key, alg="philox") < probability
                keeps[name] = tf.cast(drawn, tf.float32) * alive
                slopes[name] = probability * (1 - probability)
        return keeps, slopes

    def _report(self) -> Report:
        finite = are_finite(self._floats.values())
        with tf.control_dependencies([finite]):
            for name, fixed in self._fixed.items():
                self._inner.weights[name].assign(fixed)
        return (finite,)


def _highest(score: tf.Tensor, alive: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """1.0 for the `count` highest scores where `alive` is not 0, else 0.0; ties keep the first.

    Bisection over integer ranks, unique for each score and position. Sorting every layer in every
    step would take longer than the step.
    """
    size = int(np.prod(score.shape))
    bits = tf.cast(tf.bitcast(tf.where(score == 0, 0.0, score), tf.int32), tf.int64)
    ordered = tf.bitwise.bitwise_xor(
        bits, tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, np.int64(63)), 0x7FFFFFFF)
    )
    position = tf.reshape(tf.range(size - 1, -1, -1, tf.int64), score.shape)
    rank = tf.where(alive != 0, ordered * size + position, tf.int64.min)

    def above(least: tf.Tensor) -> tf.Tensor:
        return tf.math.count_nonzero(rank >= least)

    def halve(low: tf.Tensor, high: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, ...]:
        middle = low + (high - low) // 2
        kept = above(middle)
        enough = kept >= count
        return tf.where(enough, middle, low), tf.where(enough, high, middle), kept

    # Ends as soon as a threshold keeps `count` scores: `low` is then that threshold.
    end = tf.constant(2**31 * size, tf.int64)
    low = tf.where(count > 0, -end, end)
    low, _, _ = tf.while_loop(
        lambda low, high, kept: kept != count,
        halve,
        (low, end, above(low)),
        parallel_iterations=1,
    )
    return tf.cast(rank >= low, tf.float32)
