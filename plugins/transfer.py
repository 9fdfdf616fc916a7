"""Transfer: tickets found on a source data set, put to work on this lab's task."""

import dataclasses
from collections.abc import Iterator

import numpy as np

import ltx

CARRY = ("mask", "init", "rewind")
HEADS = ("fresh", "random", "carry")


@dataclasses.dataclass(frozen=True)
class Transfer(ltx.Finder):
    """Carries another data set's tickets over to this task.

    Tickets come from `of`, run on the same model over `source` with its images converted to this
    task's, or from the store at `store`, those of this lab's seed and, where
    several finders left some there, of the one labelled `finder`. `classes` are those of the
    source, none for all; with the target's in Task.classes one set may be source and target. All
    else of the source's task is this task's, its subset as well. `carry`: "mask" alone over
    weights drawn afresh, the mask and the source's "init", or the mask and the weights of the
    source's "rewind" point with their BatchNorm statistics; training starts at step 0 with a
    fresh optimizer. `head` is the layer that makes the logits: "fresh" keeps it dense and draws it
    anew, "random" gives it a random mask of the source's density as well, "carry" takes it along,
    which needs as many classes. Costs what `of` costs on the source.

    Reference: Morcos et al., One ticket to win them all, https://arxiv.org/abs/1906.02773
    """

    of: ltx.Finder | None = None
    source: str = ""
    store: str = ""
    finder: str = ""
    carry: str = "rewind"
    head: str = "fresh"
    classes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        ltx.check_choice("transfer.carry", self.carry, CARRY)
        ltx.check_choice("transfer.head", self.head, HEADS)
        if not self.source:
            raise ltx.UsageError(
                "transfer.source: expected the data set the tickets come from, got none"
            )
        # What a task refuses is refused by it; here a list from gin becomes what has an identity.
        classes = self.classes if isinstance(self.classes, list | tuple) else (self.classes,)
        object.__setattr__(self, "classes", tuple(classes))
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
        ltx.inner(self.of, "transfer").check(source)
        self._fit(lab, source.dense())

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        if self.store:
            for ticket in self._stored(lab):
                made = self._carry(lab, ticket, ticket.state)
                yield dataclasses.replace(
                    made, cost=made.cost + ticket.cost, seconds=made.seconds + ticket.seconds
                )
            return
        source = self._lab(lab)
        first = source.init()
        for ticket in ltx.inner(self.of, "transfer").find(source):
            yield self._carry(lab, ticket, first if self.carry == "init" else ticket.state)

    def _lab(self, lab: ltx.Lab) -> ltx.Lab:
        source = lab.on(data=self.source, classes=self.classes)
        # Where nothing needs converting the source task is the one that others train on, too.
        return source if source.image == lab.image else source.on(image=lab.image)

    def _stored(self, lab: ltx.Lab) -> list[ltx.Ticket]:
        store = ltx.Store(self.store, create=False)
        wanted = {"data": self.source, "seed": lab.seed, "model": lab.task.model}
        there = [
            manifest
            for manifest in store.manifests()
            if all(manifest[key] == value for key, value in wanted.items())
            and tuple(manifest["task"].get("classes", ())) == self.classes
        ]
        if not there:
            of_these = f", classes {self.classes}," if self.classes else ""
            raise ltx.UsageError(
                f"transfer.store: {self.store} holds no ticket found on {self.source}{of_these}"
                f" with seed {lab.seed} and model {lab.task.model}; see"
                f" `ltx tickets list --store={self.store}`"
            )
        labels = sorted({manifest["finder"] for manifest in there})
        if self.finder and self.finder not in labels:
            raise ltx.UsageError(
                f"transfer.finder: {self.finder!r} left no such ticket in {self.store}; those found"
                f" on {self.source} with seed {lab.seed} are of {', '.join(labels)}"
            )
        # Several finders may have found one ticket, as the dense one at level 0.
        found = {m["id"]: m["finder"] for m in there if self.finder in ("", m["finder"])}
        tickets = [store.ticket(id, finder) for id, finder in found.items()]
        if len({ticket.level for ticket in tickets}) < len(tickets):
            raise ltx.UsageError(
                f"transfer.store: {self.store} holds several tickets of one level, of different"
                f" finders or settings; name one of {', '.join(labels)} in transfer.finder"
            )
        for ticket in tickets:
            self._fit(lab, ticket.mask)
        return sorted(tickets, key=lambda ticket: ticket.level)

    def _fit(self, lab: ltx.Lab, mask: ltx.Mask) -> None:
        """Refuse, before any training, masks that this lab's model cannot wear."""
        body = {
            w.name: w.shape for w in lab.prunable if self.head == "carry" or w.name not in lab.head
        }
        for name, shape in body.items():
            got = mask[name].shape if name in mask else None
            if got != shape:
                remedy = (
                    "head='carry' needs as many classes in source and target; use 'fresh'"
                    if name in lab.head
                    else "source and target need the same model and image; set Task.image alike"
                )
                raise ltx.UsageError(
                    f"transfer from {self.source}: {name} is {shape} here and {got} there: {remedy}"
                )

    def _carry(self, lab: ltx.Lab, ticket: ltx.Ticket, start: ltx.State) -> ltx.Ticket:
        # A stream of its own: lab.init() would draw the source's very weights again.
        fresh = lab.init(stream="transfer")
        mask, weights, statistics = dict(lab.dense()), dict(fresh.weights), dict(fresh.statistics)
        for name, ones in lab.dense().items():
            if self.head == "carry" or name not in lab.head:
                mask[name] = ticket.mask[name]
            elif self.head == "random":
                mask[name] = _random_mask(lab, name, ones.shape, _head_density(lab, ticket))
        if self.carry != "mask":
            for name, array in start.weights.items():
                if self.head == "carry" or name not in lab.head:
                    weights[name] = array
        if self.carry == "rewind":
            statistics.update(start.statistics)
        return ltx.Ticket.of(
            lab,
            ltx.Mask(mask),
            ltx.State(weights, statistics),
            level=ticket.level,
            parent=ticket,
            source=self.source,
            source_density=ticket.density,
        )


def _head_density(lab: ltx.Lab, ticket: ltx.Ticket) -> float:
    heads = [ticket.mask[name] for name in ticket.mask if name in lab.head]
    return sum(int(h.sum()) for h in heads) / sum(h.size for h in heads)


def _random_mask(lab: ltx.Lab, name: str, shape: tuple[int, ...], density: float) -> np.ndarray:
    flat = np.zeros(int(np.prod(shape)), np.bool_)
    flat[: max(1, round(density * flat.size))] = True
    return lab.rng("head", name).permutation(flat).reshape(shape)
