"""Loop: all steps between two evaluations as one compiled program."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ltx.backends.tf_keras import input_pipeline
from ltx.backends.tf_keras.compiled import Compiled
from ltx.data.dataset import Dataset

Report = tuple[tf.Tensor, ...]


class Loop:
    """Calls `step` with each batch of a table, its learning rate, its number and a seed.

    A call returns what `report` returns after the last step. If it compiles the program, that is
    preceded by the report of zero steps. `strategy` runs a step on all its replicas.
    """

    def __init__(
        self,
        step: Callable[..., None],
        report: Callable[[], Report],
        data: Dataset,
        resident: input_pipeline.ResidentData | None,
        strategy: tf.distribute.Strategy | None,
        xla: bool,
    ) -> None:
        self._step, self._report, self._data = step, report, data
        self._resident, self._strategy = resident, strategy
        if resident:
            self._segment = Compiled(self._resident_loop, xla)
        else:
            # A loop that waits for the host cannot be one XLA program; each of its steps can.
            self._one_step = tf.function(step, jit_compile=xla or None, autograph=False)
            self._segment = Compiled(self._streamed_loop, xla=False)

    def __call__(
        self, table: np.ndarray, rates: np.ndarray, start: int, seed: np.ndarray, window: int
    ) -> list[Report]:
        """Run one step for each row of `table`, int32 [steps, batch], and of `rates`.

        At most `window` steps; the tables are padded to it, so that every call has one shape.
        """
        count = len(rates)
        padded = np.zeros(window, np.float32)
        padded[:count] = rates
        inputs, idle = (
            [tf.constant(x) for x in (padded, np.int32(steps), np.int32(start), seed)]
            for steps in (count, 0)
        )
        if self._resident:
            rows = np.zeros((window, table.shape[1]), np.int32)
            rows[:count] = table
            data = (tf.constant(rows), *self._resident("train"))
            return self._segment.warm_up_then_call((*data, *idle), (*data, *inputs))
        return [self._segment(iter(input_pipeline.stream(self._data.train, table)), *inputs)]

    def _resident_loop(  # type: ignore[no-untyped-def]
        self, table, examples, targets, rates, count, start, seed
    ):
        def step(i: tf.Tensor) -> None:
            batch = input_pipeline.gather(examples, table[i]), tf.gather(targets, table[i])
            self._on_replicas(self._step, *batch, rates[i], start + i, seed)

        _repeat(step, count)
        return self._report()

    def _streamed_loop(self, batches, rates, count, start, seed):  # type: ignore[no-untyped-def]
        def step(i: tf.Tensor) -> None:
            self._on_replicas(self._one_step, *next(batches), rates[i], start + i, seed)

        _repeat(step, count)
        return self._report()

    def _on_replicas(self, step: Callable[..., None], *inputs: tf.Tensor) -> None:
        if self._strategy is None:
            step(*inputs)
        else:
            self._strategy.run(step, args=inputs)


def _repeat(step: Callable[[tf.Tensor], None], count: tf.Tensor) -> None:
    """Call `step` with 0 to count - 1, in a loop that is compiled once for all counts."""

    # Not over tf.range(count): its length is a shape, and XLA recompiles for every shape.
    def body(i: tf.Tensor) -> tf.Tensor:
        step(i)
        return i + 1

    tf.while_loop(lambda i: i < count, body, [tf.constant(0)], parallel_iterations=1)
