"""Event file: however often it is told and wherever it is cut, each point is read once."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from full_disk import full_disk
from hypothesis import given
from hypothesis import strategies as st
from tensorboard_reader import Reader

from ltx.reporting import event_file
from ltx.reporting.event_file import EventFile, Point


def curve(*values: float, tag: str = "loss") -> list[Point]:
    return [event_file.scalar(10 * n, tag, value) for n, value in enumerate(values, 1)]


def shown(folder: Path) -> dict[str, list[tuple[int, float]]]:
    return Reader(folder).runs().get(".", {})


def test_tensorboard_reads_what_was_put(tmp_path: Path) -> None:
    EventFile(tmp_path).put([*curve(0.5, 0.1), *curve(0.25, tag="accuracy")])
    assert shown(tmp_path) == {
        "loss": [(10, 0.5), (20, float(np.float32(0.1)))],
        "accuracy": [(10, 0.25)],
    }


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    points = [event_file.session("run", {"rate": 0.4}), *curve(0.5, 0.25), event_file.ended(True)]
    first = EventFile(tmp_path)
    first.put(points)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()
    first.put(points)
    EventFile(tmp_path).put(points, whole=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@given(
    values=st.lists(st.floats(width=32), max_size=8),
    told=st.lists(
        st.tuples(st.integers(0, 8), st.booleans(), st.none() | st.integers(0, 400)), max_size=6
    ),
)
def test_killed_told_again_and_cut_off_anywhere_it_ends_as_if_told_once(
    values: list[float], told: list[tuple[int, bool, int | None]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = EventFile(Path(folder))
        for count, restarted, cut in told:
            if restarted:
                file = EventFile(Path(folder))
                for path in Path(folder).iterdir():
                    path.write_bytes(path.read_bytes()[:cut])
            file.put(curve(*values[:count]))
        file.put(curve(*values), whole=True)
        read = shown(Path(folder)).get("loss", [])
    assert [step for step, _ in read] == [10 * n for n in range(1, len(values) + 1)]
    np.testing.assert_array_equal([value for _, value in read], values)


def test_two_processes_that_write_the_same_write_it_once(tmp_path: Path) -> None:
    one, other = EventFile(tmp_path), EventFile(tmp_path)
    one.put(curve(1, 2))
    other.put(curve(1, 2, 3))
    one.put(curve(1, 2, 3, 4))
    other.put(curve(1, 2, 3, 4, 5), whole=True)
    assert shown(tmp_path)["loss"] == [(10, 1), (20, 2), (30, 3), (40, 4), (50, 5)]


@pytest.mark.parametrize(
    "now", [curve(1, 2, 7), curve(1, 2), [event_file.session("run", {"x": 2}), *curve(1, 2, 3)]]
)
def test_what_is_no_longer_true_is_begun_anew_also_for_who_was_reading(
    tmp_path: Path, now: list[Point]
) -> None:
    reader = Reader(tmp_path)
    EventFile(tmp_path).put([event_file.session("run", {"x": 1}), *curve(1, 2, 3)])
    assert len(reader.runs()["."]["loss"]) == 3
    EventFile(tmp_path).put(now, whole=True)
    fresh = tmp_path / "fresh"
    EventFile(fresh).put(now)
    wanted = shown(fresh)
    assert reader.runs()["."] == shown(tmp_path) == wanted


def test_a_refused_write_leaves_what_was_there_and_is_made_up_for(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.put(curve(1, 2))
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()
    with full_disk(len(before) + 30), pytest.raises(OSError, match="large"):
        file.put(curve(1, 2, 3))
    assert path.read_bytes() == before
    file.put(curve(1, 2, 3))
    assert [step for step, _ in shown(tmp_path)["loss"]] == [10, 20, 30]
