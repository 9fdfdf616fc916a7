"""LabTestCase: every lab keeps the contract, and its checks catch planted faults."""

import dataclasses
import unittest

import numpy as np
import pytest
from conftest import fake_lab, keras_lab
from kinds import fake_task

from ltx import DivergedError, History, Lab, Mask, Metrics, Run, State, Task
from ltx.testing import LAB_CHECKS, FakeLab, LabTestCase


class TestFakeLab(LabTestCase):
    @classmethod
    def make_lab(cls, seed: int = 0, *, sealed: bool = True) -> Lab:
        return fake_lab(seed, sealed=sealed)


# What the checks take for granted and these networks do not have: a loss that evaluation measures
# as training does, kernels of two axes alone, outputs near the uniform.
UNSUITED = {"gradient_slope", "scheduled_masks", "temperature"}


@pytest.mark.parametrize("network", ["convolution", "ranks"])
@pytest.mark.parametrize("check", sorted(LAB_CHECKS.keys() - UNSUITED))
def test_the_convolutions_of_the_fake_lab_keep_the_contract(check: str, network: str) -> None:
    def make_lab(seed: int = 0, *, sealed: bool = True) -> Lab:
        return FakeLab(seed=seed, sealed=sealed, network=network)

    LAB_CHECKS[check](make_lab)


class TestRegression(LabTestCase):
    """And so for every other kind of task that a FakeLab has."""

    KIND = "regression"

    @classmethod
    def make_lab(cls, seed: int = 0, *, sealed: bool = True) -> Lab:
        return FakeLab(fake_task(cls.KIND), seed, sealed=sealed)


class TestTokens(TestRegression):
    KIND = "tokens"


class TestNextToken(TestRegression):
    KIND = "next_token"


class TestMultiLabel(TestRegression):
    KIND = "multi_label"


class TestOrdinal(TestRegression):
    KIND = "ordinal"


class TestObjectiveOfAUser(TestRegression):
    KIND = "log_cosh"


class TestKerasLab(LabTestCase):
    @classmethod
    def make_lab(cls, seed: int = 0, *, sealed: bool = True) -> Lab:
        return keras_lab(seed, sealed=sealed)


class IgnoresMask(FakeLab):
    """Trains and measures the dense network."""

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        return super().run_training(state, self.dense(), stop, stream)


class IgnoresSeed(FakeLab):
    def init(self, stream: str = "init") -> State:
        return FakeLab(self.task).init(stream) if self.seed else super().init(stream)


class IgnoresStream(FakeLab):
    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        return super().run_training(state, mask, stop, "order")


class RestartsTheOrder(FakeLab):
    """Every segment begins the data, and the curve's grid, from the start."""

    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        again = state.replace(step=0)
        run = super().run_training(again, mask, stop - state.step, stream)
        return dataclasses.replace(run, state=run.state.replace(step=stop))


class ForgetsMomentum(FakeLab):
    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        return super().run_training(state.replace(slots={}), mask, stop, stream)


class Unsealed(FakeLab):
    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **{**settings, "sealed": False})  # type: ignore[arg-type]

    def check_split(self, split: str) -> None:
        pass


class LosesTheSeal(FakeLab):
    """Its siblings may read the test split."""

    def open_sibling(self, task: Task) -> Lab:
        return FakeLab(task, self.seed, sealed=False, ledger=self.ledger)


class OwnBooks(FakeLab):
    """Its siblings' work is charged to nobody."""

    def open_sibling(self, task: Task) -> Lab:
        return FakeLab(task, self.seed, sealed=self.sealed)


class Counting(FakeLab):
    """Evaluations drift with their number."""

    evaluations = 0

    def run_evaluation(self, state: State, mask: Mask, split: str) -> Metrics:
        self.evaluations += 1
        metrics = super().run_evaluation(state, mask, split)
        return Metrics(metrics.loss + 1e-6 * self.evaluations, metrics.value)


class GlobalNoise(FakeLab):
    def run_training(self, state: State, mask: Mask, stop: int, stream: str) -> Run:
        np.random.random()
        return super().run_training(state, mask, stop, stream)


class MasksGradients(FakeLab):
    def compute_gradients(self, state: State, mask: Mask, batches: int, stream: str):  # type: ignore[no-untyped-def]
        return mask.apply(super().compute_gradients(state, mask, batches, stream))


class SumsGradients(FakeLab):
    """The sum over batches, not the mean."""

    def compute_gradients(self, state: State, mask: Mask, batches: int, stream: str):  # type: ignore[no-untyped-def]
        mean = super().compute_gradients(state, mask, batches, stream)
        return {name: batches * array for name, array in mean.items()}


class WholeGradient(FakeLab):
    """Multiplies the Hessian with the gradient of pruned weights as well."""

    def compute_hessian_gradient(self, state, mask, batches, temperature, stream):  # type: ignore[no-untyped-def]
        dense = self.dense()
        return super().compute_hessian_gradient(state, dense, batches, temperature, stream)


class SignedFlow(FakeLab):
    def compute_synaptic_flow(self, state: State, mask: Mask) -> dict[str, np.ndarray]:
        return {name: mask.apply(state.weights)[name] for name in mask}


class EverythingEffective(FakeLab):
    def compute_effective(self, mask: Mask) -> Mask:
        return self.dense()


class TrainsWeightsToo(FakeLab):
    """Learning a mask moves the weights."""

    def run_mask_training(self, state, mask, method, stop, stream):  # type: ignore[no-untyped-def]
        run = super().run_mask_training(state, mask, method, stop, stream)
        moved = {name: array + np.float32(1) for name, array in run.state.weights.items()}
        return dataclasses.replace(run, state=run.state.replace(weights=moved))


class ForgetsScores(FakeLab):
    """Every segment of learning a mask starts from fresh scores."""

    def run_mask_training(self, state, mask, method, stop, stream):  # type: ignore[no-untyped-def]
        fresh = state.with_scores(method.init_scores(state.weights, mask, self.rng))
        return super().run_mask_training(fresh, mask, method, stop, stream)


class RevivesBySchedule(FakeLab):
    def scheduled_mask(self, state, mask, schedule):  # type: ignore[no-untyped-def]
        return super().scheduled_mask(state, self.dense(), schedule)


class Recalibrates(FakeLab):
    def recompute_statistics(self, state: State, mask: Mask, batches: int, stream: str) -> State:
        return state.masked(mask)


class ShortWriters(FakeLab):
    @property
    def channels(self):  # type: ignore[no-untyped-def]
        (one,) = super().channels
        return (dataclasses.replace(one, size=one.size - 1),)


class HidesNaN(FakeLab):
    """Takes what is not finite for zero, wherever it trains and measures."""

    def train(self, state, mask, until=None, stream="order"):  # type: ignore[no-untyped-def]
        try:
            return super().train(state, mask, until, stream)
        except DivergedError:
            return Run(state.replace(step=self.steps(until)), History())


class EvaluatesNaN(FakeLab):
    def evaluate(self, state: State, mask: Mask, split: str = "validation") -> Metrics:
        return self.run_evaluation(state, mask, split)


class Tempers(FakeLab):
    """Divides outputs that are no logits by the temperature."""

    def compute_hessian_gradient(self, state, mask, batches, temperature, stream):  # type: ignore[no-untyped-def]
        arrays = super().compute_hessian_gradient(state, mask, batches, temperature, stream)
        return {name: array / np.float32(temperature) for name, array in arrays.items()}


def test_a_temperature_of_no_logits_is_caught() -> None:
    def make_lab(seed: int = 0, *, sealed: bool = True) -> Lab:
        return Tempers(fake_task("regression"), seed, sealed=sealed)

    with pytest.raises(AssertionError, match="sizes"):
        LAB_CHECKS["temperature"](make_lab)


FAULTS: tuple[tuple[type[FakeLab], str], ...] = (
    (IgnoresMask, "pruned_weights"),
    (IgnoresMask, "one_weight"),
    (IgnoresMask, "pruned_values"),
    (IgnoresSeed, "other_seed"),
    (IgnoresStream, "other_seed"),
    (RestartsTheOrder, "segments"),
    (ForgetsMomentum, "segments"),
    (ForgetsMomentum, "fresh_optimizer"),
    (Unsealed, "sealed"),
    (Unsealed, "splits"),
    (LosesTheSeal, "sealed"),
    (OwnBooks, "siblings"),
    (Counting, "purity"),
    (Counting, "curve"),
    (GlobalNoise, "generators"),
    (MasksGradients, "gradients"),
    (SumsGradients, "gradient_slope"),
    (WholeGradient, "hessian_gradient"),
    (SignedFlow, "synaptic_flow"),
    (EverythingEffective, "effective"),
    (TrainsWeightsToo, "learned_masks"),
    (ForgetsScores, "learned_segments"),
    (RevivesBySchedule, "scheduled_masks"),
    (Recalibrates, "statistics"),
    (ShortWriters, "channels"),
    (HidesNaN, "divergence"),
    (EvaluatesNaN, "divergence"),
)


@pytest.mark.parametrize(
    ("lab", "check"), FAULTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_planted_fault_is_caught_by_its_check(lab: type[FakeLab], check: str) -> None:
    def make_lab(seed: int = 0, *, sealed: bool = True) -> Lab:
        return lab(seed=seed, sealed=sealed)

    with pytest.raises(AssertionError):
        LAB_CHECKS[check](make_lab)


def run(case: type[LabTestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


def test_what_a_backend_lacks_is_skipped() -> None:
    class Least(FakeLab):
        def compute_gradients(self, state, mask, batches, stream):  # type: ignore[no-untyped-def]
            self._cannot("compute gradients")

    class TestLeast(LabTestCase):
        @classmethod
        def make_lab(cls, seed: int = 0, *, sealed: bool = True) -> Lab:
            return Least(seed=seed, sealed=sealed)

    result = run(TestLeast)
    assert result.wasSuccessful()
    skipped = {test.id().rpartition("test_")[2] for test, _ in result.skipped}
    assert skipped == {
        "gradients",
        "gradient_slope",
        "hessian_gradient",
        "gradient_cost",
        "measuring",
    }
    assert {reason for _, reason in result.skipped} == {
        "Least: this backend cannot compute gradients; use another one"
    }


def test_every_check_says_what_it_checks() -> None:
    assert len(LAB_CHECKS) > 30
    for name, check in LAB_CHECKS.items():
        assert (check.__doc__ or "").count("\n") == 0, name
        assert getattr(TestFakeLab, f"test_{name}").__doc__ == check.__doc__


def test_a_class_to_derive_from_has_no_tests() -> None:
    assert not [name for name in vars(LabTestCase) if name.startswith("test_")]
    with pytest.raises(NotImplementedError, match=r"LabTestCase\.make_lab: expected"):
        LabTestCase.make_lab()
