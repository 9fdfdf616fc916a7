"""Transfer: tickets found on a source task, trained on this lab's task."""

import dataclasses
from collections.abc import Iterator

import numpy as np

import ltx

CARRY = ("mask", "init", "rewind", "sign", "shuffled")
HEADS = ("fresh", "random", "carry")
# What each carry that removes something promises of mask and weights, as `check_control` names it.
_PROMISES = {
    "mask": ("same", "fresh"),
    "sign": ("same", "sign_kept"),
    "shuffled": ("shuffled", "same"),
}


@dataclasses.dataclass(frozen=True)
class Transfer(ltx.Finder):
    """Transfers another task's tickets to this one.

    Tickets come from `of`, run on the `source`, or from the store at `store`: those of this lab's
    seed and, where several finders left some there, of the one labelled `finder`. The source is a
    data set's name, for this task on all classes of that set with its images converted to this
    task's; or a whole task of any data, classes, optimizer or recipe, whose network has the same
    body. It may be this lab's own task.

    `carry`: "mask", the mask alone with fresh weights; "init", the mask and the source's initial
    weights; "rewind", the mask and the weights of the source's rewind point with their BatchNorm
    statistics; "sign", the mask and fresh weights with the signs of that point's; "shuffled", as
    "rewind" with every transferred layer's mask shuffled. What "mask", "sign" and "shuffled" remove
    is checked and stored with each ticket. Training starts at step 0 with a fresh optimizer. `head`
    is the layer that makes the logits: "fresh" keeps it dense with fresh weights, "random" also
    gives it a random mask of the source's density, "carry" transfers it, which needs as many
    classes. Costs what `of` costs on the source.

    Reference: Morcos et al., One ticket to win them all, https://arxiv.org/abs/1906.02773;
    Zhou et al., Deconstructing Lottery Tickets, https://arxiv.org/abs/1905.01067 (sign);
    Frankle et al., https://arxiv.org/abs/1912.05671 (shuffled)
    """

    of: ltx.Finder | None = None
    source: str | ltx.Task = ""
    store: str = ""
    finder: str = ""
    carry: str = "rewind"
    head: str = "fresh"

    def __post_init__(self) -> None:
        ltx.check_choice("transfer.carry", self.carry, CARRY)
        ltx.check_choice("transfer.head", self.head, HEADS)
        if not isinstance(self.source, str | ltx.Task) or not self.source:
            raise ltx.UsageError(
                "transfer.source: expected the data set or the @Task() that the tickets come from,"
                f" got {self.source!r}"
            )
        if bool(self.store) == (self.of is not None):
            raise ltx.UsageError(
                "transfer: give either `of`, a finder, or `store`, a path with tickets"
            )
        if self.store and self.carry == "init":
            raise ltx.UsageError(
                "transfer.carry: a stored ticket has its rewind state only; use 'rewind'"
            )

    @classmethod
    def example(cls, of: ltx.Finder) -> "Transfer":
        return cls(of=of, source="elsewhere")

    def check(self, lab: ltx.Lab) -> None:
        if self.store:
            self._stored(lab)
            return
        source = self._lab(lab)
        ltx.require_finder(self.of, "transfer").check(source)
        self._fit(lab, source.dense())

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        if self.store:
            for ticket, task, of in self._stored(lab):
                carried = self._carry(lab, ticket, ticket.state, task, of)
                cost, seconds = carried.cost + ticket.cost, carried.seconds + ticket.seconds
                yield dataclasses.replace(carried, cost=cost, seconds=seconds)
            return
        source = self._lab(lab)
        first = source.init()
        for ticket in ltx.require_finder(self.of, "transfer").find(source):
            start = first if self.carry == "init" else ticket.state
            yield self._carry(lab, ticket, start, source.task.id, self.of)

    @property
    def _label(self) -> str:
        return self.source if isinstance(self.source, str) else self.source.label

    def _lab(self, lab: ltx.Lab) -> ltx.Lab:
        if isinstance(self.source, ltx.Task):
            task = self.source
            return lab.on(**{f.name: getattr(task, f.name) for f in dataclasses.fields(task)})
        source = lab.on(data=self.source, classes=())
        # Without a conversion the source task is the same as in other studies, and is cached.
        same = source.input_shape == lab.input_shape
        return source if same else source.on(image=lab.input_shape)

    def _stored(self, lab: ltx.Lab) -> list[tuple[ltx.Ticket, str, object]]:
        """The stored tickets by level, each with its task's id and its finder's settings."""
        store = ltx.Store(self.store, create=False)
        candidates = [
            m for m in store.manifests() if m["seed"] == lab.seed and self._is_source(lab, m)
        ]
        if not candidates:
            raise ltx.UsageError(
                f"transfer.store: {self.store} holds no ticket found on {self._description(lab)};"
                f" see `ltx tickets list --store={self.store}`"
            )
        labels = sorted({manifest["finder"] for manifest in candidates})
        if self.finder and self.finder not in labels:
            raise ltx.UsageError(
                f"transfer.finder: {self.finder!r} left no such ticket in {self.store}; those found"
                f" on {self._label} with seed {lab.seed} are of {', '.join(labels)}"
            )
        # Several finders may have found one ticket, as the dense one at level 0.
        by_id = {m["id"]: m for m in candidates if self.finder in ("", m["finder"])}
        tickets = [
            (store.ticket(id, m["finder"]), str(m["task_id"]), m["finder_settings"])
            for id, m in by_id.items()
        ]
        if len({ticket.level for ticket, _, _ in tickets}) < len(tickets):
            raise ltx.UsageError(
                f"transfer.store: {self.store} holds several tickets of one level, of different"
                f" finders or settings; name one of {', '.join(labels)} in transfer.finder"
            )
        for ticket, _, _ in tickets:
            self._fit(lab, ticket.mask)
        return sorted(tickets, key=lambda one: one[0].level)

    def _is_source(self, lab: ltx.Lab, manifest: dict) -> bool:
        if isinstance(self.source, ltx.Task):
            return manifest["task_id"] == self.source.id
        expected = {"data": self.source, "model": lab.task.model}
        return all(manifest[key] == value for key, value in expected.items()) and not manifest[
            "task"
        ].get("classes")

    def _description(self, lab: ltx.Lab) -> str:
        if isinstance(self.source, ltx.Task):
            return f"{self._label} (task {self.source.id}) with seed {lab.seed}"
        return f"{self._label} with seed {lab.seed} and model {lab.task.model}"

    def _fit(self, lab: ltx.Lab, mask: ltx.Mask) -> None:
        """Raise UsageError, before any training, for masks that do not fit this lab's model."""
        shapes = {w.name: w.shape for w in lab.prunable}
        for name in self._body(lab):
            got = mask[name].shape if name in mask else None
            if got != shapes[name]:
                remedy = (
                    "head='carry' needs as many classes in source and target; use 'fresh'"
                    if name in lab.head
                    else "source and target need the same model and image; set Task.image alike"
                )
                raise ltx.UsageError(
                    f"transfer from {self._label}: {name} is {shapes[name]} here and {got} there:"
                    f" {remedy}"
                )

    def _body(self, lab: ltx.Lab) -> list[str]:
        """The names of the weights whose masks are transferred."""
        return [w.name for w in lab.prunable if self.head == "carry" or w.name not in lab.head]

    def _carry(
        self, lab: ltx.Lab, ticket: ltx.Ticket, start: ltx.State, source_task: str, of: object
    ) -> ltx.Ticket:
        # Another stream: lab.init() gives the source's initial weights.
        fresh = lab.init(stream="transfer")
        body = self._body(lab)
        body_mask = ltx.Mask({name: ticket.mask[name] for name in body})
        if self.carry == "shuffled":
            body_mask = body_mask.shuffled(lab.rng("transfer", "shuffled", ticket.level))
        mask, weights, statistics = dict(lab.dense()), dict(fresh.weights), dict(fresh.statistics)
        mask.update(body_mask)
        if self.head == "random":
            for name in mask.keys() - set(body):
                shape, density = mask[name].shape, _head_density(lab, ticket)
                mask[name] = _random_mask(lab, name, shape, density)
        if self.carry == "sign":
            for name in body:
                weights[name] = np.copysign(np.abs(weights[name]), start.weights[name])
        elif self.carry != "mask":
            for name, array in start.weights.items():
                if self.head == "carry" or name not in lab.head:
                    weights[name] = array
        if self.carry in ("rewind", "shuffled"):
            statistics.update(start.statistics)
        carried = ltx.Ticket.of(
            lab,
            ltx.Mask(mask),
            ltx.State(weights, statistics),
            level=ticket.level,
            parent=ticket,
            source=self._label,
            source_task=source_task,
            source_density=ticket.density,
            carry=self.carry,
            head=self.head,
            of=of,
        )
        return self._checked(ticket, carried, body)

    def _checked(self, ticket: ltx.Ticket, carried: ltx.Ticket, body: list[str]) -> ltx.Ticket:
        """The carried ticket, checked to lack what its carry removes from the body."""
        if self.carry not in _PROMISES or not body:
            return carried
        mask, weights = _PROMISES[self.carry]
        old, new = (
            dataclasses.replace(
                one,
                mask=ltx.Mask({name: one.mask[name] for name in body}),
                state=ltx.State({name: one.state.weights[name] for name in body}),
            )
            for one in (ticket, carried)
        )
        checked = ltx.check_control("transfer", old, new, mask=mask, weights=weights)
        return dataclasses.replace(carried, note=checked.note)


def _head_density(lab: ltx.Lab, ticket: ltx.Ticket) -> float:
    heads = [ticket.mask[name] for name in ticket.mask if name in lab.head]
    return sum(int(h.sum()) for h in heads) / sum(h.size for h in heads)


def _random_mask(lab: ltx.Lab, name: str, shape: tuple[int, ...], density: float) -> np.ndarray:
    flat = np.zeros(int(np.prod(shape)), np.bool_)
    flat[: max(1, round(density * flat.size))] = True
    return lab.rng("head", name).permutation(flat).reshape(shape)
