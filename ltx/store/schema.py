"""The schema of every document of a store: which keys there are, of which types and ranges.

Keys that are not named here are allowed, since newer versions may add some. Keys with a default
are missing in documents of older versions. What numbers have to do with each other is checked in
`readers`.
"""

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

_T = TypeVar("_T")
_AT = re.compile(r"(.*) - at `(\$?.*)`", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")

Count = Annotated[int, Meta(ge=0)]
Step = Annotated[int, Meta(ge=0, le=1 << 62)]
Share = Annotated[float, Meta(ge=0, le=1)]
Loss = Annotated[float, Meta(ge=-1.7e308)]  # infinite where it exceeds all numbers, never NaN
Value = Annotated[float, Meta(ge=-1.7e308, le=1.7e308)]
Size = Annotated[float, Meta(ge=0, le=1.7e308)]
Ticket = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
State = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
PLAIN = r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z"
Plain = Annotated[str, Meta(pattern=PLAIN)]  # an id that is part of a file's name
Shape = Annotated[tuple[Count, ...], Meta(max_length=32)]


class Cost(Struct):
    steps: Count
    examples: Count
    dense_flops: Count
    flops: Count


class Metrics(Struct):
    """Of a classification `accuracy`, of any other objective `value`."""

    loss: Loss
    accuracy: Share | None = None
    value: Value | None = None
    further: dict[str, Value] = {}


class History(Struct):
    steps: tuple[Annotated[int, Meta(ge=1)], ...]
    loss: tuple[Loss, ...]
    accuracy: tuple[Share, ...] | None = None
    value: tuple[Value, ...] | None = None


class Metric(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    unit: str
    scale: Annotated[float, Meta(gt=0)]
    higher_is_better: bool
    margin: Size
    difference: str
    relative: bool = False


class Manifest(Struct):
    """Of a ticket: the header of its file, and the document of each finder that found it."""

    kind: Literal["ticket"]
    id: Ticket
    level: Count
    density: Share
    data: str
    model: str
    task: dict[str, Any]
    task_id: Plain
    seed: int
    finder: str
    finder_settings: Any
    parent: Plain | None
    recipe: dict[str, Any] | None
    cost: Cost
    note: dict[str, Any]
    state: State
    step: Count
    shapes: dict[str, Shape]
    versions: dict[str, str | None]
    sources: dict[str, str] = {}
    lab: dict[str, str] = {}
    superseded: str | None = None
    effective_density: Share | None = None
    useless: Share | None = None
    dead_units: dict[str, Count] | None = None
    units: dict[str, Count] | None = None
    cut_at: str | None = None


class StateHeader(Struct):
    kind: Literal["state"]
    id: State


class Trial(Struct):
    kind: Literal["trial"]
    id: Plain
    ticket: Plain
    task: Plain
    seed: int
    level: Count
    density: Share
    start: Count
    history: History
    validation: Metrics
    test: Metrics
    found_for: Cost
    trained_for: Cost
    metric: Metric | None = None


class WeightDistance(Struct):
    distance: Size
    moved: Size
    angle: Annotated[float, Meta(ge=0, le=180)] | None


class Shares(Struct):
    errors: tuple[Share, ...]


class Instability(Struct):
    kind: Literal["stability"]
    id: Plain
    ticket: Plain
    task: Plain
    seed: int
    level: Count
    density: Share
    at: str
    start: Count
    split: Literal["train", "validation", "test"]
    alphas: Annotated[tuple[Share, ...], Meta(min_length=1)]
    errors: tuple[Value, ...]
    to_order: WeightDistance
    to_pruning: WeightDistance | None
    losses: tuple[Loss, ...] = ()
    metric: Metric | None = None


class MemoRun(Struct):
    """`key` and `seconds` are missing in entries of older versions."""

    kind: Literal["memo"]
    history: History
    seconds: Size | None = None
    key: Plain | None = None


class MemoNumbers(Struct):
    kind: Literal["memo"]
    numbers: list[float]
    cost: Cost
    seconds: float | None = None
    key: Plain | None = None


class _Result(Struct):
    task: str
    finder: str
    seed: int
    control: bool


class TrialEntry(_Result, kw_only=True):
    trial: Plain
    level: Count | None = None
    parent: Plain | None = None
    lab: dict[str, str] = {}


class StabilityEntry(_Result, kw_only=True):
    stability: Plain
    level: Count
    at: str


class Failure(Struct):
    task: str
    finder: str
    seed: int
    error: str
    ended: bool = True
    level: Count | None = None
    at: str | None = None
    diverged: bool = False


class Study(Struct):
    """The record of a study; the first ones have little more than id and command."""

    id: Plain
    command: str
    kind: Literal["study"] = "study"
    config: str = ""
    study: Any = None
    engine: Any = None
    versions: dict[str, str | None] = {}
    plugins: list[dict[str, Any]] = []
    tasks: list[str] = []
    finders: dict[str, bool] = {}
    controls: dict[str, list[str]] | None = None
    seeds: list[int] = []
    margin: Size | None = 0.0
    stability: dict[str, Any] | None = None
    finished: bool = False
    trials: list[TrialEntry] = []
    compared: list[StabilityEntry] = []
    failures: list[Failure] = []


class LogLine(Struct):
    """A line of the event log, of whatever event."""

    time: Annotated[float, Meta(ge=0, le=1e11)]
    pid: Annotated[int, Meta(ge=0, le=1 << 32)]
    host: Annotated[str, Meta(max_length=200)] = ""  # part of the name of a lock's file
    study: str = ""
    cell: tuple[str, str, int] | None = None
    state: str = msgspec.field(default="", name="is")
    level: Count | None = None
    trial: Plain | None = None
    at: str | None = None
    stability: Plain | None = None
    error: str | None = None
    traceback: str | None = None
    trained: Plain | None = None
    start: Step = msgspec.field(default=0, name="from")
    stop: Step = msgspec.field(default=0, name="to")
    end: Step = 0
    seconds: Size = 0.0
    timed: Plain | None = None
    found_seconds: Size | None = None
    trained_seconds: Size | None = None


def check(document: object, type: type[_T]) -> _T:
    """The document as this type; ValueError, in one line, where it does not fit."""
    try:
        return msgspec.convert(document, type)
    except msgspec.ValidationError as error:
        raise ValueError(_one_line(str(error), document)) from None
    except RecursionError:
        raise ValueError("expected a document, got values nested too deeply") from None


def _one_line(text: str, document: object) -> str:
    """The text of msgspec's error with the key first and, where it has one, the value last."""
    match = _AT.fullmatch(text)
    if match is None:
        return text[:1].lower() + text[1:]
    expected, at = match[1].replace("`", ""), match[2].removeprefix("$").removeprefix(".")
    text = f"{at}: {expected[:1].lower()}{expected[1:]}"
    return text if ", got" in text else f"{text}{_got(match[2], document)}"


def _got(at: str, value: Any) -> str:
    """What stands at a place of a document, cut short; "" if that cannot be said."""
    try:
        for key, index in _STEP.findall(at):
            value = value[key] if key else value[int(index)]
        return "" if isinstance(value, dict | list) else f", got {value!r:.60}"
    except (KeyError, IndexError, TypeError, ValueError):
        return ""
