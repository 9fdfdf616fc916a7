"""Programs: those built in this process, cached by what they were built of."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from ltx.backends.tf_keras.input_pipeline import HeldOut
from ltx.backends.tf_keras.mask_program import MaskProgram
from ltx.backends.tf_keras.models import builder
from ltx.backends.tf_keras.program import Program
from ltx.backends.tf_keras.sparse_program import SparseProgram
from ltx.core import clock, identity
from ltx.core.engine import Engine
from ltx.core.mask import MaskLearner
from ltx.core.task import Task
from ltx.data import loading
from ltx.data.dataset import DataSpec

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class RecentlyUsed(Generic[_K, _V]):
    """A cache of the `size` values used last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[_K, _V] = {}  # the least recently used first

    def get(self, key: _K, make: Callable[[], _V]) -> _V:
        """The value of `key`, created by `make` if it is not cached."""
        if key not in self._values:
            # functools.lru_cache evicts after it has created: one program too many in memory.
            if len(self._values) == self._size:
                del self._values[next(iter(self._values))]
            self._values[key] = make()
        self._values[key] = self._values.pop(key)
        return self._values[key]


_programs: RecentlyUsed[tuple[str, object], Program] = RecentlyUsed(6)
_held_out: RecentlyUsed[str, HeldOut] = RecentlyUsed(6)
_mask_programs: RecentlyUsed[tuple[Program, MaskLearner], MaskProgram] = RecentlyUsed(2)
_sparse_programs: RecentlyUsed[Program, SparseProgram] = RecentlyUsed(2)


def program(task: Task, engine: Engine, data_dir: str | None) -> Program:
    """The program of a task, shared by all seeds, finders and levels of this process."""
    key = identity.identity([task, engine, engine.resident_mb, data_dir])

    def make() -> Program:
        data = loading.load_spec(DataSpec.of(task), data_dir)
        # Of the test split too, so that no study ends at it.
        data.check(task.objective)
        return Program(task, engine, data.without_test())

    # A module that was edited and imported again has another function of this name.
    function = builder.resolve(task.model)
    owner = function if isinstance(function, Hashable) else type(function)
    return _programs.get((key, owner), make)


def held_out(spec: DataSpec, data_dir: str | None, resident: bool) -> HeldOut:
    """The test split of a data set, for labs that are not sealed; programs hold none."""
    key = identity.identity([spec, resident, data_dir])
    with clock.paused():
        return _held_out.get(key, lambda: HeldOut(loading.load_test(spec, data_dir), resident))


def mask_program(inner: Program, method: MaskLearner) -> MaskProgram:
    """The program that trains masks on `inner` by this method, compiled once while in use."""
    return _mask_programs.get((inner, method), lambda: MaskProgram(inner, method))


def training_program(inner: Program) -> Program | SparseProgram:
    """What trains the weights of `inner` by its engine; UsageError if the engine cannot."""
    if inner.engine.sparse == "never":
        return inner
    return _sparse_programs.get(inner, lambda: SparseProgram(inner))
