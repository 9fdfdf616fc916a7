"""Mode connectivity: flat lines count as stable, a barrier between equal functions is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import Barrier, Lab, State, Task, UsageError, barrier, copies
from ltx.core.objectives.regression import Regression
from ltx.evaluation.mode_connectivity import interpolated
from ltx.testing import RECIPE, FakeLab


def trained(lab: Lab, stream: str = "order") -> State:
    return lab.train(lab.init(), lab.dense(), stream=stream).state


def permuted(state: State) -> State:
    """The same function, its hidden units in another order."""
    weights = dict(state.weights)
    turned = np.roll(np.arange(weights["hidden/bias"].size), 5)
    weights["hidden/kernel"] = weights["hidden/kernel"][:, turned]
    weights["hidden/bias"] = weights["hidden/bias"][turned]
    weights["output/kernel"] = weights["output/kernel"][turned]
    return state.replace(weights=weights)


def test_a_state_has_no_barrier_to_itself() -> None:
    lab = FakeLab()
    state = trained(lab)
    line = barrier(lab, lab.dense(), state, state)
    assert len(line.alphas) == len(line.errors) == 30
    assert (line.alphas[0], line.alphas[-1]) == (0.0, 1.0)
    assert set(line.errors) == {1 - lab.evaluate(state, lab.dense()).value}
    assert line.height == 0
    assert line.stable(0.0)


def test_units_in_another_order_are_behind_a_barrier() -> None:
    lab = FakeLab()
    state = trained(lab)
    other = permuted(state)
    line = barrier(lab, lab.dense(), state, other, points=11)
    assert line.errors[0] == line.errors[-1]
    assert line.height > 0.1
    assert not line.stable()
    middle = interpolated(state, other, 0.5)
    assert line.errors[5] == 1 - lab.evaluate(middle, lab.dense()).value


def test_the_line_is_the_same_from_either_side() -> None:
    lab = FakeLab()
    one, other = trained(lab), trained(lab, "second order")
    there = barrier(lab, lab.dense(), one, other, points=5)
    back = barrier(lab, lab.dense(), other, one, points=5)
    assert there.errors == back.errors[::-1]
    assert there.height == back.height


def test_the_split_is_the_one_asked_for() -> None:
    lab = FakeLab()
    state = trained(lab)
    line = barrier(lab, lab.dense(), state, permuted(state), points=3, split="train")
    assert line.errors[0] == 1 - lab.evaluate(state, lab.dense(), "train").value
    with pytest.raises(UsageError, match="test split"):
        barrier(lab, lab.dense(), state, state, split="test")
    with pytest.raises(UsageError, match="barrier: points"):
        barrier(lab, lab.dense(), state, state, points=2)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=30))
def test_a_height_is_a_share_and_zero_only_on_a_flat_or_lower_line(errors: list[float]) -> None:
    line = Barrier(tuple(np.linspace(0, 1, len(errors))), tuple(errors))
    assert 0 <= line.height <= 1
    ends = (errors[0] + errors[-1]) / 2
    assert (line.height == 0) == (max(errors) <= ends)


def test_the_ends_of_an_interpolation_are_the_states_themselves() -> None:
    lab = FakeLab()
    one, other = trained(lab), trained(lab, "second order")
    for alpha, end in ((0.0, one), (1.0, other)):
        assert interpolated(one, other, alpha) == end.replace(slots={})


def test_copies_are_the_trainings_of_their_streams() -> None:
    lab = FakeLab()
    state = lab.train(lab.init(), lab.dense(), "20it").state
    one, other = copies(lab, state, lab.dense())
    assert one == trained(lab)
    assert one != other
    assert copies(lab, state, lab.dense(), ("second order",)) == [other]
    assert [c.step for c in copies(lab, state, lab.dense(), until="30it")] == [30, 30]


def test_statistics_are_taken_anew_along_the_line() -> None:
    import ltx
    from ltx.backends.tf_keras.lab import KerasLab

    recipe = ltx.Recipe(batch_size=60, length="60it", eval_every="60it", learning_rate=5e-3)
    lab = KerasLab(Task(model="tiny.convnet", recipe=recipe), 0)
    dense = lab.dense()
    state = lab.train(lab.init(), dense).state
    spoilt = state.replace(statistics={n: 9 + 0 * a for n, a in state.statistics.items()})
    assert 1 - lab.evaluate(spoilt, dense).value > 0.5
    line = barrier(lab, dense, spoilt, spoilt, points=3, batches=5)
    assert line.errors[1] == line.errors[0] < 0.3
    assert line.height == 0


def test_a_longer_common_past_lowers_the_barrier() -> None:
    heights = []
    for k in (0, 50):
        means = []
        for seed in range(5):
            lab = FakeLab(Task(data="fake", model="fake", recipe=RECIPE), seed)
            past = lab.train(lab.init(), lab.dense(), f"{k}it").state
            means.append(barrier(lab, lab.dense(), *copies(lab, past, lab.dense())).height)
        heights.append(np.mean(means))
    assert heights[1] < heights[0]


def test_whole_numbers_are_not_interpolated() -> None:
    counts = {"count": np.arange(1, 100), "large": np.array(2**62 + 1), "on": np.array([True])}
    state = State({"w": np.zeros(2, np.float32)}, counts)
    for alpha in np.linspace(0, 1, 30):
        assert interpolated(state, state, float(alpha)) == state


def test_the_losses_of_the_line_stand_beside_its_errors() -> None:
    lab = FakeLab()
    state = trained(lab)
    other = permuted(state)
    line = barrier(lab, lab.dense(), state, other, points=5)
    assert len(line.losses) == 5
    assert line.losses[0] == lab.evaluate(state, lab.dense()).loss
    assert line.loss_height == max(line.losses) - (line.losses[0] + line.losses[-1]) / 2 > 0


def test_errors_that_an_older_version_cached_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = FakeLab()
    state = trained(lab)
    whole = barrier(lab, lab.dense(), state, state, points=3)
    monkeypatch.setattr(lab, "once", lambda key, make: make()[:3])
    old = barrier(lab, lab.dense(), state, state, points=3)
    assert (old.errors, old.losses) == (whole.errors, ())
    assert np.isnan(old.loss_height)


@pytest.mark.parametrize(("middle", "stable"), [(0.52, True), (0.54, False), (0.4, True)])
def test_a_metric_that_is_no_share_may_rise_by_five_percent(middle: float, stable: bool) -> None:
    rmse = Barrier((0.0, 0.5, 1.0), (0.5, middle, 0.5), metric=Regression.metric)
    assert rmse.stable() == stable
    assert rmse.tolerance == 0.025
    assert rmse.rise == pytest.approx(rmse.height / 0.5)
    accuracy = Barrier((0.0, 0.5, 1.0), (0.5, middle, 0.5))
    assert (accuracy.tolerance, accuracy.rise) == (0.02, accuracy.height)


def test_a_barrier_between_perfect_networks_is_not_stable() -> None:
    assert not Barrier((0.0, 0.5, 1.0), (0.0, 0.1, 0.0), metric=Regression.metric).stable()
    assert Barrier((0.0, 0.5, 1.0), (0.0, 0.0, 0.0), metric=Regression.metric).stable()
