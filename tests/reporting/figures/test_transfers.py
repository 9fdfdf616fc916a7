"""Transfer maps: one scale, one level, and missing pairs stay missing."""

import dataclasses
from typing import Any

from figure_inputs import CELLS, cell

from ltx.core.objectives.regression import Regression
from ltx.reporting.figures import transfers


def texts(plot: Any) -> tuple[list[str], list[str], list[str]]:
    axes = plot.figure.axes[0]
    rows, columns = axes.get_yticklabels(), axes.get_xticklabels()
    return tuple([t.get_text() for t in some] for some in (rows, columns, axes.texts))  # type: ignore[return-value]


def test_maps_compare_at_a_level_that_all_reached() -> None:
    native, mask, sign = transfers.maps(CELLS)
    assert {plot.title.rpartition(" ")[2] for plot in (native, mask, sign)} == {"1"}
    assert texts(native) == (["imp", "dense"], ["a", "c"], ["95.0", "95.0", "98.0", "98.0"])
    # Nothing was carried from a to c, and no signs to c.
    assert texts(mask) == (["a", "b"], ["a", "c"], ["+0.0", "-", "-3.0", "+5.0"])
    assert texts(sign) == (["b"], ["a", "c"], ["-1.0", "-"])
    assert "b on c: missing" in sign.text
    assert len({plot.name for plot in (native, mask, sign)}) == 3


def test_all_maps_of_gaps_have_one_scale() -> None:
    _, mask, sign = transfers.maps(CELLS)
    scales = [plot.figure.axes[0].images[0].norm for plot in (mask, sign)]
    assert {(norm.vmin, norm.vmax) for norm in scales} == {(-5.0, 5.0)}


def test_one_source_and_one_target_make_no_map() -> None:
    assert transfers.maps([CELLS[2], CELLS[4]]) == []
    assert transfers.maps([]) == []


def test_what_has_no_native_tickets_is_missing_from_its_map() -> None:
    cells = [cell(task, "b", "mask", 1, None) for task in "ac"]
    native, mask = transfers.maps(cells)
    assert texts(native) == (["dense"], ["a", "c"], ["98.0", "98.0"])
    assert texts(mask) == (["b"], ["a", "c"], ["-", "-"])


def test_targets_with_another_metric_have_maps_of_their_own() -> None:
    rmse = [dataclasses.replace(one, metric=Regression.metric) for one in CELLS if one.task == "c"]
    plots = transfers.maps([*(one for one in CELLS if one.task == "a"), *rmse])
    names = [plot.name for plot in plots]
    assert names[:3] == [f"transfers-accuracy-{end}" for end in ("native", "mask", "sign")]
    assert names[3:] == ["transfers-RMSE-native", "transfers-RMSE-mask"]
    assert texts(plots[0])[1] == ["a"]
    assert texts(plots[3]) == (["imp", "dense"], ["c"], ["0.95", "0.98"])
    assert texts(plots[4]) == (["b"], ["c"], ["+0.05"])
    assert "RMSE better than native" in plots[4].title
