"""The compiled loop is cached where that is possible, by the code that it holds."""

import subprocess
import sys
import textwrap

import numba.core.caching
import numpy as np
import pytest

from ltx.backends.sparse import loop
from ltx.backends.sparse.network import CROSS_ENTROPY, Examples, Layer
from ltx.backends.sparse.trainer import Trainer
from ltx.core.recipe import Recipe

CODE = """
    import numpy as np
    from ltx.backends.sparse import loop
    from ltx.backends.sparse.network import CROSS_ENTROPY, Examples, Layer
    from ltx.backends.sparse.trainer import Trainer
    from ltx.core.recipe import Recipe

    ones, zeros = np.ones(4, np.float32), np.zeros((4, 3), np.float32)
    for inputs in (np.ones((9, 4), np.uint8), np.ones((9, 4), np.float32)):
        examples = Examples(inputs, np.zeros(9, np.int32), ones, ones)
        trainer = Trainer((Layer("a", "", 4, 3),), CROSS_ENTROPY, Recipe(optimizer="sgd"), examples)
        slots = {"momentums:a": zeros, "iterations:": np.int64(0)}
        trainer.load({"a": zeros}, slots, {"a": zeros == 0})
        trainer.run(np.zeros((2, 5), np.int32), np.ones(2, np.float32))
    stats = loop.training_loop().stats
    print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


@pytest.mark.slow
def test_a_second_process_compiles_nothing_and_all_inputs_share_one_compilation(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    command = [sys.executable, "-c", textwrap.dedent(CODE)]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    )
    assert (first, second) == (["0", "1"], ["1", "0"])


@pytest.mark.slow
def test_without_a_folder_for_the_cache_it_is_compiled_in_each_process(monkeypatch):
    monkeypatch.setattr(numba.core.caching.CompileResultCacheImpl, "_locator_classes", [])
    train = loop.training_loop.__wrapped__()
    monkeypatch.setattr("ltx.backends.sparse.trainer.training_loop", lambda: train)
    ones, zeros = np.ones(4, np.float32), np.zeros((4, 3), np.float32)
    examples = Examples(np.ones((9, 4), np.float32), np.zeros(9, np.int32), ones, ones)
    trainer = Trainer((Layer("a", "", 4, 3),), CROSS_ENTROPY, Recipe(optimizer="sgd"), examples)
    slots = {"momentums:a": zeros, "iterations:": np.int64(0)}
    trainer.load({"a": zeros}, slots, {"a": zeros == 0})
    trainer.run(np.zeros((2, 5), np.int32), np.ones(2, np.float32))
    assert trainer.weights()["a"][:, 0].min() > 0
    assert not train.stats.cache_hits
