"""Metric: values, differences and margins read in the metric's unit and direction."""

import dataclasses
import math

import pytest

from ltx import Cost, History, Metrics, Trial
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.core.objectives.regression import Regression

RMSE = Regression.metric
BITS = Metric("bits a token", higher_is_better=False, margin=0.01)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (ACCURACY, 0.9861, "98.61%"),
        (RMSE, 0.031244, "0.03124"),
        (BITS, 2.25, "2.250"),
        (Metric("distance", "m"), 54.2345, "54.23 m"),
        (Metric("delay", "ms", 1000.0), 0.0123, "12.30 ms"),
        (RMSE, 123456.7, "123457"),
        (RMSE, 0.0, "0"),
        (RMSE, math.inf, "inf"),
    ],
)
def test_a_value_reads_in_its_unit(metric: Metric, value: float, text: str) -> None:
    assert metric.text(value) == text


def test_the_reach_of_an_interval_has_the_decimals_of_its_mean() -> None:
    assert RMSE.number(0.0012, like=0.031244) == "0.00120"
    assert ACCURACY.number(0.0012, like=0.9) == "0.12"


def test_differences_have_a_sign_and_margins_a_unit() -> None:
    assert (ACCURACY.change(0.0125), RMSE.change(-0.00123)) == ("+1.25", "-0.00123")
    assert (ACCURACY.change(-1e-6), RMSE.change(-0.0)) == ("+0.00", "+0")
    assert (ACCURACY.amount(0.003), RMSE.amount(0.0003)) == ("0.3%", "0.0003 RMSE")
    assert (ACCURACY.difference_unit, RMSE.difference_unit) == ("points", "RMSE")


def test_errors_rise_where_outputs_are_worse() -> None:
    assert ACCURACY.error(0.75) == 0.25
    assert RMSE.error(0.75) == 0.75
    assert Metric("R2").error(0.75) == -0.75


def test_a_relative_margin_is_a_share_of_dense() -> None:
    assert RMSE.margin_at(0.5) == 0.005
    assert RMSE.margin_at(-0.5) == 0.005
    assert ACCURACY.margin_at(0.5) == 0.003


def trial(metric: Metric) -> Trial:
    curve = History((10, 20), (0.5, 0.25), (0.75, 0.5))
    end = Metrics(0.25, 0.5)
    return Trial("i", "t", "k", 0, 1, 0.5, 0, curve, end, end, Cost(), Cost(), metric)


def test_a_trial_says_its_metric_unless_that_is_accuracy() -> None:
    plain = trial(ACCURACY).document()
    assert "metric" not in plain
    assert plain["test"] == {"loss": 0.25, "accuracy": 0.5}
    assert Trial.from_document(plain).document() == plain
    other = trial(RMSE).document()
    assert other["test"] == {"loss": 0.25, "value": 0.5}
    assert Trial.from_document(other) == trial(RMSE)


def test_a_metric_of_another_version_is_read() -> None:
    document = trial(RMSE).document()
    stored = dict(dataclasses.asdict(RMSE), new="setting")
    del stored["relative"]
    read = Trial.from_document({**document, "metric": stored})
    assert read.metric == dataclasses.replace(RMSE, relative=False)
