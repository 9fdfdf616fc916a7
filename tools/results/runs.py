"""The shipped studies, and the records of those that were run."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from claims import Arms

from ltx.store.store import Store
from ltx.study.record import StudyRecord

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "gin_configs" / "studies"
ORDER = ("lenet_fashion_mnist", "first_ticket", "controls", "sanity_checks", "cheap_tickets")


@dataclasses.dataclass(frozen=True)
class Run:
    """A study's gin file by name, its record if there is a store of it, and processor seconds."""

    name: str
    record: StudyRecord | None = None
    seconds: float | None = None

    @property
    def finished(self) -> bool:
        return self.record is not None and self.record.finished

    @property
    def arms(self) -> Arms | None:
        return None if self.record is None else Arms(self.record)


def studies() -> list[str]:
    """The names of all shipped studies, in the order of the page."""
    names = [path.stem for path in STUDIES.glob("*.gin")]
    return sorted(names, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n))


def read(folders: Sequence[Path], name: str) -> Run:
    """The last finished store of that name, or else the last store."""
    run = Run(name)
    for folder in folders:
        if Store.occupied(folder / name):
            store = Store(folder / name, create=False)
            if store.studies():
                seconds = _processor_seconds(folder / f"{name}.err")
                one = Run(name, StudyRecord.read(store), seconds)
                run = run if run.finished and not one.finished else one
    return run


def _processor_seconds(path: Path) -> float | None:
    """User and system seconds in the output of bash's `time`; None if there is none."""
    text = path.read_text() if path.is_file() else ""
    times = re.findall(r"^(?:user|sys)\s+(\d+)m([\d.]+)s$", text, re.MULTILINE)
    return sum(60 * int(m) + float(s) for m, s in times) if times else None
