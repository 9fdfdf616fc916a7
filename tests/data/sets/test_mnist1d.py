"""MNIST-1D: every byte is that of the published set, whatever numpy's random state is."""

import hashlib

import numpy as np

from ltx.data import loading
from ltx.data.sets import mnist1d


def test_it_is_the_published_set_bit_by_bit() -> None:
    before = np.random.get_state()[1].copy()
    mnist1d._generated.cache_clear()
    made = mnist1d.load()
    parts = (made.inputs, made.targets, made.test_inputs, made.test_targets)
    assert [part.dtype for part in parts] == [np.float32, np.int64] * 2
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    assert digest.startswith("b09ad3e22c854bc5")
    assert (np.random.get_state()[1] == before).all()


def test_a_task_gets_its_splits() -> None:
    data = loading.load("mnist1d", preprocessing={"scaling": "none"})
    assert (len(data.train), len(data.validation), len(data.test)) == (3600, 400, 1000)
    assert (data.classes, data.input_shape, data.inputs.dtype) == (10, (40,), "float32")
    assert np.bincount(data.train.targets).min() > 330
    joined = np.concatenate([data.train.inputs, data.validation.inputs])
    assert sorted(map(bytes, joined)) == sorted(map(bytes, mnist1d.load().inputs))
