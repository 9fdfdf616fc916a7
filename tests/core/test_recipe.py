"""Recipe: what is refused by name, and the learning rate of every step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltx import Recipe, UsageError
from ltx.core.validation import warn_once

STEP = Recipe(
    learning_rate=1.0, schedule="step", drops=("50%", "75%"), length="100it", warmup="10it"
)
COSINE = Recipe(learning_rate=1.0, schedule="cosine", length="100it", warmup="10%")
CONSTANT = Recipe(learning_rate=0.5, length="2ep")


def test_constant_stays() -> None:
    assert (CONSTANT.learning_rates(0, 20, epoch=10) == np.float32(0.5)).all()


def test_steps_drop_where_they_say() -> None:
    rates = STEP.learning_rates(0, 100, epoch=1)
    assert rates.dtype == np.float32
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10, rtol=1e-6)
    assert set(rates[10:50]) == {np.float32(1.0)}
    np.testing.assert_allclose(rates[50:75], 0.1, rtol=1e-6)
    np.testing.assert_allclose(rates[75:], 0.01, rtol=1e-6)


def test_cosine_falls_to_almost_nothing() -> None:
    rates = COSINE.learning_rates(0, 100, epoch=1)
    assert rates[10] == 1.0
    assert (np.diff(rates[10:]) < 0).all()
    assert 0 < rates[-1] < 1e-3


@given(
    st.sampled_from([STEP, COSINE, CONSTANT]), st.lists(st.integers(0, 100), min_size=3, max_size=3)
)
def test_the_rate_is_a_function_of_the_step_alone(recipe: Recipe, cuts: list[int]) -> None:
    low, middle, high = sorted(cuts)
    parts = [recipe.learning_rates(a, b, epoch=50) for a, b in ((low, middle), (middle, high))]
    np.testing.assert_array_equal(np.concatenate(parts), recipe.learning_rates(low, high, epoch=50))


def test_length_in_epochs_becomes_steps() -> None:
    assert Recipe(length="2ep").steps(epoch=7) == 14
    assert Recipe(length="0.001ep").steps(epoch=7) == 1
    assert Recipe(length="0it").steps(epoch=7) == Recipe(length="0ep").steps(epoch=7) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimizer", "adamax"),
        ("schedule", "linear"),
        ("augment", "mixup"),
        ("scale_l1", -1e-4),
        ("learning_rate", 0),
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("momentum", 1.0),
        ("drop_factor", 1.0),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("batch_size", True),
        ("weight_decay", -1e-4),
        ("clip_norm", float("inf")),
        ("label_smoothing", 1.0),
        ("length", "50%"),
        ("length", 500),
        ("warmup", "soon"),
        ("eval_every", "0it"),
        ("drops", ("50%",)),
        ("drops", 5),
    ],
)
def test_a_bad_setting_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=rf"Recipe\.{field}|duration {value!r}"):
        Recipe(**{field: value})  # type: ignore[arg-type]


def test_an_unknown_choice_shows_the_close_one() -> None:
    with pytest.raises(UsageError, match="did you mean momentum"):
        Recipe(optimizer="momentun")


def test_lists_become_tuples() -> None:
    assert Recipe(schedule="step", drops=["50%"]) == Recipe(schedule="step", drops=("50%",))  # type: ignore[arg-type]


def test_a_momentum_that_is_not_read_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    for _ in range(2):
        Recipe(optimizer="adam", momentum=0.5)
    Recipe(optimizer="nesterov", momentum=0.5)
    Recipe(optimizer="adam")
    Recipe(optimizer="sgd", momentum=0.9)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Recipe.momentum 0.5: adam does not read it")
