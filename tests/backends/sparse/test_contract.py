"""A KerasLab that trains on the sparse engine keeps the contract of every lab."""

import dataclasses

from conftest import DIGITS

from ltx import Lab, Task
from ltx.backends.tf_keras.lab import KerasLab
from ltx.core.engine import Engine
from ltx.testing import LabTestCase

SPARSE = Engine(sparse="always")


class TestLeNet(LabTestCase):
    TASK: Task = DIGITS

    @classmethod
    def make_lab(cls, seed: int = 0, *, sealed: bool = True) -> Lab:
        return KerasLab(cls.TASK, seed, engine=SPARSE, sealed=sealed)


class TestTanhPerceptron(LabTestCase):
    """Another activation, a batch of two blocks, and Adam."""

    @classmethod
    def make_lab(cls, seed: int = 0, *, sealed: bool = True) -> Lab:
        recipe = dataclasses.replace(
            DIGITS.recipe, optimizer="adam", learning_rate=0.003, batch_size=70
        )
        task = Task(model="mlp", model_args={"activation": "tanh"}, recipe=recipe)
        return KerasLab(task, seed, engine=SPARSE, sealed=sealed)
