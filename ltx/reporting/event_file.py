"""Event file: what TensorBoard reads of one run; every point stands in it once."""

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
from tensorboard.summary.writer.record_writer import RecordWriter

_FRAME = 16  # bytes of a record beside its content: its length and two checksums
_TIMES = ("start_time_secs", "end_time_secs")
# A second file's start tells a TensorBoard that has read the first to forget it.
_HEAD: tuple[dict[str, Any], ...] = (
    {"file_version": "brain.Event:2"},
    {"session_log": SessionLog(status=SessionLog.START)},
)
Point = tuple[int, Summary]


def scalar(step: int, tag: str, value: float) -> Point:
    made = Summary()
    made.CopyFrom(_scalar(tag))
    made.value[0].tensor.float_val[0] = np.float32(value)
    return step, made


@functools.cache
def _scalar(tag: str) -> Summary:
    """By TensorBoard's own function, once: it takes longer than all the rest of the writing."""
    return scalar_pb(tag, 0.0)


def session(name: str, settings: Mapping[str, bool | float | str]) -> Point:
    """That the run has these hyperparameters and is under way."""
    return 0, hparams_pb(dict(settings), trial_id=name)


def ended(success: bool) -> Point:
    """That the run is over."""
    status = api_pb2.STATUS_SUCCESS if success else api_pb2.STATUS_FAILURE
    info = SessionEndInfo(status=status, end_time_secs=time.time())
    # Not by TensorBoard's own function, whose module imports TensorFlow.
    data = metadata.create_summary_metadata(HParamsPluginData(session_end_info=info))
    made = Summary()
    made.value.add(tag=metadata.SESSION_END_INFO_TAG, metadata=data, tensor=metadata.NULL_TENSOR)
    return 0, made


class EventFile:
    """The one file of a run's folder, which only grows while what it says stays true.

    It may be told the same again, by another process, too: what is there is not written twice, and
    what a killed process left half-written is cut off. Whoever writes holds a lock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path: Path | None = None
        self.there: dict[tuple[str, int], bytes] = {}
        self.size = 0

    def put(self, points: Iterable[Point], whole: bool = False) -> None:
        """Add what is missing; begin anew where the file says otherwise, or more than the `whole`.

        Raises OSError where the file system refuses.
        """
        self._look()
        points = list(points)
        told = {_key(point): _said(point) for point in points}
        wrong = any(self.there.get(key, said) != said for key, said in told.items())
        if wrong or (whole and self.there.keys() - told.keys()):
            self._empty()
        missing = [point for point in points if _key(point) not in self.there]
        if missing:
            self._append(missing)
            self.there.update(told)

    def _look(self) -> None:
        """Read what is there, unless it is what was left there."""
        found = sorted(self.folder.glob("events.out.tfevents.*.ltx"))
        if not found:
            self._forget()
        elif found[-1] != self.path or found[-1].stat().st_size != self.size:
            self._forget()
            self.path = found[-1]
            for event, size in _events(self.path):
                self.size += size
                for value in event.summary.value:
                    point = event.step, Summary(value=[value])
                    self.there[_key(point)] = _said(point)
            if self.path.stat().st_size > self.size:
                os.truncate(self.path, self.size)

    def _forget(self) -> None:
        self.path, self.there, self.size = None, {}, 0

    def _empty(self) -> None:
        """The next file has another name, and this one stays: a reader may be in its middle."""
        assert self.path is not None
        os.truncate(self.path, 0)
        self._forget()

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
    """The events up to the first that is damaged or cut short, each with its bytes in the file."""
    reader = PyRecordReader_New(str(path))
    with contextlib.closing(reader.file_handle), contextlib.suppress(errors.OpError):
        while True:
            reader.GetNext()
            yield Event.FromString(reader.record()), len(reader.record()) + _FRAME


def _key(point: Point) -> tuple[str, int]:
    step, summary = point
    return summary.value[0].tag, step


def _said(point: Point) -> bytes:
    """What a point says, whenever it was said."""
    value = point[1].value[0]
    plugin = value.metadata.plugin_data
    if plugin.plugin_name != metadata.PLUGIN_NAME:
        return bytes(value.tensor.SerializeToString(deterministic=True))
    data = HParamsPluginData.FromString(plugin.content)
    info = getattr(data, data.WhichOneof("data"))
    for name in set(_TIMES) & set(info.DESCRIPTOR.fields_by_name):
        info.ClearField(name)
    return bytes(data.SerializeToString(deterministic=True))
