"""Inspection: what a forward pass of a model says of its output layer and its outputs."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from ltx.backends.tf_keras.graph import layer_types
from ltx.backends.tf_keras.graph.forward_pass import ForwardPass
from ltx.backends.tf_keras.graph.layer_calls import LayerCalls
from ltx.backends.tf_keras.graph.variables import NamedVariable
from ltx.backends.tf_keras.inputs import example_specs, random_inputs
from ltx.core.errors import UsageError, unknown
from ltx.data.dataset import Specs


class Inspection:
    """Follows the operations of one inference call of a built model from inputs to outputs.

    `inputs` describes its inputs, None for those of the model. `head` names kernels of the
    output layers, for models where the operations do not tell.
    """

    def __init__(
        self,
        model: tf_keras.Model,
        entries: Sequence[NamedVariable],
        generators: Sequence[tf.random.Generator],
        inputs: Specs | None,
        head: Sequence[str],
    ) -> None:
        self._model, self._inputs, self._head = model, inputs, head
        self._entries = {entry.name: entry for entry in entries}
        self._kernels = {name: e for name, e in self._entries.items() if len(e.shape) > 1}
        owners = [layer for e in entries for layer in (e.layer, e.repeater) if layer is not None]
        self._calls = LayerCalls(owners)
        self._states = {f"generator {n}": g.state for n, g in enumerate(generators)}

    @functools.cached_property
    def forward_pass(self) -> ForwardPass:
        variables = {name: entry.variable for name, entry in self._entries.items()}
        units = {n: layer_types.units(n, e.layer, e.shape) for n, e in self._kernels.items()}
        specs = example_specs(self._model, self._inputs)
        recording = self._calls.recording
        return ForwardPass(self._model, specs, {**variables, **self._states}, units, recording)

    def uses(self, entry: NamedVariable) -> int:
        """How often a pass of one example uses each entry of a kernel, over all calls of its layer.

        A kernel whose layer is not called as one, but read by another, counts as called once.
        """
        once = layer_types.weight(entry.name, entry.layer, entry.shape, entry.times, False).uses
        return self.calls.uses(entry) or once

    @functools.cached_property
    def calls(self) -> LayerCalls:
        """The calls of the traced pass; or of one that is run, if it has loops or functions."""
        passed = self.forward_pass
        specs = tf.nest.flatten(passed.specs)
        traced = self._calls.is_complete and not passed.has_functions
        if traced or any(None in spec.shape for spec in specs):
            return self._calls
        eager = tf.config.functions_run_eagerly()
        with self._restored():
            tf.config.run_functions_eagerly(True)
            try:
                given = tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), passed.specs)
                with self._calls.recording():
                    self._model(given, training=False)
            finally:
                tf.config.run_functions_eagerly(eager)
        return self._calls

    @functools.cached_property
    def output_layers(self) -> list[tf_keras.layers.Layer]:
        """The layers whose kernels are the last ones between the input and the outputs.

        Several where the outputs are a sum, a choice or a concatenation. Raises UsageError where
        that is unclear and `head` is empty, or where `head` names no kernel.
        """
        for name in self._head:
            if name not in self._kernels:
                raise unknown("kernel in Task.head", name, self._kernels)
        output = self.forward_pass.output if not self._head else None
        if output is not None and (output.unclear or (self._kernels and not output.kernels)):
            some = [n for n in self._kernels if n in output.kernels] or list(self._kernels)
            raise UsageError(
                f"model {self._model.name!r}: expected one output layer, or several that are added,"
                f" got a result in which {', '.join(some)} are combined in another way; name the"
                f" kernels of the output layer, as in Task.head = ({some[-1]!r},)"
            )
        names = self._head if output is None else output.kernels
        return list({id(e.layer): e.layer for n, e in self._kernels.items() if n in names}.values())

    @functools.cached_property
    def input_layers(self) -> list[tf_keras.layers.Layer]:
        """The layers whose kernels are the first ones between an input and the outputs."""
        first = self.forward_pass.first
        return list({id(e.layer): e.layer for n, e in self._kernels.items() if n in first}.values())

    @functools.cached_property
    def ends_in_softmax(self) -> bool:
        """Whether outputs are probabilities for every input and all values of the weights.

        The outputs of random inputs are non-negative and sum to one; and the last operation is a
        softmax, or, unless it is linear, they still do so when the weights are redrawn.
        """
        return self._ends_in("softmax", lambda outputs: outputs)

    @functools.cached_property
    def ends_in_log_softmax(self) -> bool:
        """Whether outputs are the logarithms of probabilities, by the same tests."""
        return self._ends_in("log_softmax", np.exp)

    def _ends_in(self, name: str, probabilities: Callable[[np.ndarray], np.ndarray]) -> bool:
        ending = self.forward_pass.output.ending
        if ending == "linear":
            return False
        rng = np.random.default_rng(0)
        with self._restored():
            if not self._are_normalised(rng, probabilities):
                return False
            if ending == name:
                return True
            for _ in range(3):
                for entry in self._entries.values():
                    _redraw(entry.variable, rng)
                if not self._are_normalised(rng, probabilities):
                    return False
        return True

    @property
    def written(self) -> list[tf.Variable]:
        """The variables of the state that an inference call assigns to."""
        return [e.variable for n, e in self._entries.items() if n in self.forward_pass.written]

    @property
    def draws(self) -> bool:
        """Whether an inference call draws random numbers, from generators that can be seeded.

        UsageError if it draws them from anything else.
        """
        if self.forward_pass.unseeded:
            raise UsageError(
                f"model {self._model.name!r}: expected an evaluation that gives the same again, got"
                f" random numbers without a seed ({self.forward_pass.unseeded[0]}); draw them by a"
                " tf_keras noise layer, or by a tf.random.Generator that is an attribute of its"
                " layer"
            )
        return bool(self._states.keys() & self.forward_pass.written.keys())

    @property
    def corrections(self) -> dict[str, object]:
        """What version 0.1.0 judged otherwise: part of the fingerprint of the models concerned."""
        layers = [x for x in self._model._flatten_layers() if not isinstance(x, tf_keras.Model)]
        last = layers[-1] if layers else None
        activation = getattr(last, "activation", None)
        softmax = activation is tf_keras.activations.softmax
        softmax |= isinstance(last, tf_keras.layers.Softmax)
        found: dict[str, object] = {}
        if softmax != self.ends_in_softmax:
            found["softmax"] = self.ends_in_softmax
        if self.forward_pass.written:
            found["evaluation"] = "restored"
        return found

    def _are_normalised(
        self, rng: np.random.Generator, probabilities: Callable[[np.ndarray], np.ndarray]
    ) -> bool:
        """Whether random inputs give non-negative rows that sum to one, or no finite ones."""
        for scale in (0.1, 1.0, 3.0):
            given = random_inputs(self.forward_pass.specs, self._inputs, scale, rng)
            result = self.forward_pass.function(given)
            outputs = tf.cast(tf.nest.flatten(result)[0], tf.float32).numpy()
            with np.errstate(over="ignore"):
                rows = probabilities(outputs)
            valid = (rows >= 0).all() and np.allclose(rows.sum(-1), 1, atol=0.02)
            if np.isfinite(outputs).all() and not valid:
                return False
        return True

    @contextlib.contextmanager
    def _restored(self) -> Iterator[None]:
        """Give every variable its value back at the end."""
        variables = [entry.variable for entry in self._entries.values()] + [*self._states.values()]
        values = [tf.identity(variable) for variable in variables]
        try:
            yield
        finally:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)


def _redraw(variable: tf.Variable, rng: np.random.Generator) -> None:
    """Other values of the same order; a variance stays positive."""
    if not variable.dtype.is_floating:
        return
    shape, size = variable.shape, float(tf.reduce_mean(tf.abs(tf.cast(variable, tf.float32))))
    factor = rng.uniform(0.5, 1.5, shape)
    noise = (0.1 + size) * rng.standard_normal(shape) if variable.trainable else 0.0
    variable.assign(tf.cast(tf.cast(variable, tf.float64) * factor + noise, variable.dtype))
