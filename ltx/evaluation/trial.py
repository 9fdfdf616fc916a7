"""Trial: one ticket trained to the end on a task and measured."""

import dataclasses
from typing import Any

from ltx.core import identity, seal
from ltx.core.cost import Cost
from ltx.core.lab import Lab
from ltx.core.objectives.metric import ACCURACY, Metric, stored_metric
from ltx.core.run import History, Metrics
from ltx.core.ticket import Ticket


@dataclasses.dataclass(frozen=True)
class Trial:
    """The curve and the final metrics of one ticket, and what finding and training it cost.

    `start` is the step of the ticket's state. `early_stop` is the step with the least validation
    loss, counted like that of a state: steps before the ticket's state are included. None if the
    recipe trains nothing. The test split is read once, at the end.
    """

    id: str
    ticket: str
    task: str
    seed: int
    level: int
    density: float
    start: int
    history: History
    validation: Metrics
    test: Metrics
    found_for: Cost
    trained_for: Cost
    metric: Metric = ACCURACY

    @classmethod
    def run(cls, lab: Lab, ticket: Ticket) -> "Trial":
        """Train the ticket to the end, on the lab's task or by the ticket's own recipe."""
        trial_lab, before = ticket.lab_for(lab), lab.spent
        run = trial_lab.train(ticket.state, ticket.mask)
        return cls(
            id=cls.key(lab, ticket),
            ticket=ticket.id,
            task=trial_lab.task.id,
            seed=lab.seed,
            level=ticket.level,
            density=ticket.density,
            start=ticket.state.step,
            history=run.history,
            validation=trial_lab.evaluate(run.state, ticket.mask, "validation"),
            test=trial_lab.evaluate(run.state, ticket.mask, "test"),
            found_for=ticket.cost,
            trained_for=lab.spent - before,
            metric=trial_lab.task.objective.metric,
        )

    @staticmethod
    def key(lab: Lab, ticket: Ticket) -> str:
        """The id that the result of `run` has."""
        fingerprint = ticket.lab_for(lab).fingerprint
        return identity.identity(
            {"ticket": ticket.id, "lab": fingerprint, "seed": lab.seed, "found_for": ticket.cost}
        )

    @property
    def is_finite(self) -> bool:
        """Whether all metrics are numbers; `run` makes no other, stores of ltx 0.1.0 may have."""
        metrics = self.validation.is_finite and self.test.is_finite
        return metrics and self.history.diverged is None

    @property
    def early_stop(self) -> int | None:
        return self.history.early_stop

    def document(self) -> dict[str, object]:
        document = {
            "kind": "trial",
            "id": self.id,
            "early_stop": self.early_stop,
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "history": self.history.document(self.metric),
            "validation": self.validation.document(self.metric),
            "test": self.test.document(self.metric),
            "found_for": dataclasses.asdict(self.found_for),
            "trained_for": dataclasses.asdict(self.trained_for),
        }
        del document["metric"]
        if self.metric != ACCURACY:
            document["metric"] = dataclasses.asdict(self.metric)
        return document

    @classmethod
    def from_document(cls, document: dict) -> "Trial":
        seal.require_open("Trial.from_document")
        names = (field.name for field in dataclasses.fields(cls))
        values: dict[str, Any] = {name: document.get(name) for name in names}
        return cls(
            **{
                **values,
                "history": History.from_document(document["history"]),
                "validation": Metrics.from_document(document["validation"]),
                "test": Metrics.from_document(document["test"]),
                "found_for": Cost(**document["found_for"]),
                "trained_for": Cost(**document["trained_for"]),
                "metric": stored_metric(document),
            }
        )
