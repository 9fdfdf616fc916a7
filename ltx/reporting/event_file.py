"""TensorBoard event files that hold every point once, however often it is written."""

import contextlib
import functools
import io
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub import errors
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter

_FRAME = 16  # bytes of a record besides its content: its length and two checksums
_TIMES = ("start_time_secs", "end_time_secs")
# On the START of a second file TensorBoard discards what it has read from the first.
_HEAD: tuple[dict[str, Any], ...] = (
    {"file_version": "brain.Event:2"},
    {"session_log": SessionLog(status=SessionLog.START)},
)
Point = tuple[int, Summary]


def scalar(step: int, tag: str, value: float) -> Point:
    """A point of a curve."""
    summary = Summary()
    summary.CopyFrom(_scalar(tag))
    summary.value[0].tensor.float_val[0] = np.float32(value)
    return step, summary


@functools.cache
def _scalar(tag: str) -> Summary:
    """The summary by TensorBoard's own function, which takes longer than all other work here."""
    return scalar_pb(tag, 0.0)


def text(tag: str, content: str) -> Point:
    """A text at step 0, which TensorBoard shows under its tag."""
    return 0, text_pb(tag, content)


def session(name: str, settings: Mapping[str, bool | float | str]) -> Point:
    """The start of a run with these hyperparameters."""
    return 0, hparams_pb(dict(settings), trial_id=name)


def ended(success: bool) -> Point:
    """The end of a run."""
    status = api_pb2.STATUS_SUCCESS if success else api_pb2.STATUS_FAILURE
    info = SessionEndInfo(status=status, end_time_secs=time.time())
    # Not by TensorBoard's own function, whose module imports TensorFlow.
    data = metadata.create_summary_metadata(HParamsPluginData(session_end_info=info))
    summary = Summary()
    summary.value.add(tag=metadata.SESSION_END_INFO_TAG, metadata=data, tensor=metadata.NULL_TENSOR)
    return 0, summary


class EventFile:
    """The one event file of a run's folder, which only grows while its points stay valid.

    The same points may be put again, by another process as well: those that are in the file are not
    repeated, and a record that a killed process left incomplete is removed. The caller must hold a
    lock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path: Path | None = None
        self.contents: dict[tuple[str, int], bytes] = {}
        self.size = 0

    def put(self, points: Iterable[Point], whole: bool = False) -> None:
        """Add the points that are missing.

        A file that contradicts them is replaced; with `whole`, which says that these are all points
        of the run, so is one that has others. Raises OSError if the file cannot be written.
        """
        self._read()
        points = list(points)
        new = {_key(point): _value(point) for point in points}
        wrong = any(self.contents.get(key, value) != value for key, value in new.items())
        if wrong or (whole and self.contents.keys() - new.keys()):
            self._empty()
        missing = [point for point in points if _key(point) not in self.contents]
        if missing:
            self._append(missing)
            self.contents.update(new)

    def _read(self) -> None:
        """Read the file, unless it is as this object left it."""
        found = sorted(self.folder.glob("events.out.tfevents.*.ltx"))
        if not found:
            self._reset()
        elif found[-1] != self.path or found[-1].stat().st_size != self.size:
            self._reset()
            self.path = found[-1]
            for event, size in _events(self.path):
                self.size += size
                for value in event.summary.value:
                    point = event.step, Summary(value=[value])
                    self.contents[_key(point)] = _value(point)
            if self.path.stat().st_size > self.size:
                os.truncate(self.path, self.size)

    def _reset(self) -> None:
        self.path, self.contents, self.size = None, {}, 0

    def _empty(self) -> None:
        """Empty the file and start another; this one stays, since a reader may have it open."""
        assert self.path is not None
        os.truncate(self.path, 0)
        self._reset()

    def _append(self, points: Iterable[Point]) -> None:
        now, buffer = time.time(), io.BytesIO()
        writer = RecordWriter(buffer)
        if not self.size:
            for head in _HEAD:
                writer.write(Event(wall_time=now, **head).SerializeToString())
        for step, same in itertools.groupby(points, key=lambda point: point[0]):
            summary = Summary(value=[value for _, one in same for value in one.value])
            writer.write(Event(wall_time=now, step=step, summary=summary).SerializeToString())
        if self.path is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path = self.folder / f"events.out.tfevents.{time.time_ns()}.ltx"
        left = memoryview(buffer.getvalue())
        whole = self.size + len(left)
        with open(self.path, "ab", buffering=0) as file:
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(self.size)
                raise
        self.size = whole


def _events(path: Path) -> Iterator[tuple[Event, int]]:
    """The events up to the first corrupt or incomplete one, each with its bytes in the file."""
    reader = PyRecordReader_New(str(path))
    with contextlib.closing(reader.file_handle), contextlib.suppress(errors.OpError):
        while True:
            reader.GetNext()
            yield Event.FromString(reader.record()), len(reader.record()) + _FRAME


def _key(point: Point) -> tuple[str, int]:
    step, summary = point
    return summary.value[0].tag, step


def _value(point: Point) -> bytes:
    """The content of a point, without the time at which it was written."""
    value = point[1].value[0]
    plugin = value.metadata.plugin_data
    if plugin.plugin_name != metadata.PLUGIN_NAME:
        return bytes(value.tensor.SerializeToString(deterministic=True))
    data = HParamsPluginData.FromString(plugin.content)
    info = getattr(data, data.WhichOneof("data"))
    for name in set(_TIMES) & set(info.DESCRIPTOR.fields_by_name):
        info.ClearField(name)
    return bytes(data.SerializeToString(deterministic=True))
