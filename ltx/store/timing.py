"""Took: the seconds that it took to find a ticket and to train it, as a store's log tells them."""

import dataclasses
import math
from collections.abc import Collection

from ltx.store.store import Store


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds on the machine that did the work when it was done; NaN where nobody knows."""

    found: float = math.nan
    trained: float = math.nan

    @property
    def total(self) -> float:
        return self.found + self.trained


def log(store: Store, trial: str, took: Timing) -> None:
    """Append to the log what a trial took, by its id; no byte of the trial depends on it."""
    seconds = {"found_seconds": took.found, "trained_seconds": took.trained}
    known = {name: None if math.isnan(s) else round(s, 6) for name, s in seconds.items()}
    store.record({"timed": trial, **known})


def read(store: Store, trials: Collection[str]) -> dict[str, Timing]:
    """What the log tells of these trials; the last time that one was measured counts."""
    told = {}
    for event in store.events():
        if event.get("timed") in trials:
            seconds = (event.get("found_seconds"), event.get("trained_seconds"))
            told[event["timed"]] = Timing(*(math.nan if s is None else s for s in seconds))
    return told
