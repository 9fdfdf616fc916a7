"""Manifest: a ticket comes back from its manifest, its packed masks and its state."""

import json

import numpy as np
from ltx_plugins.early_rewind import EarlyRewind

from ltx import Task
from ltx.store import manifest
from ltx.testing import FakeLab


def test_a_ticket_comes_back_as_it_was() -> None:
    finder = EarlyRewind(levels=2, rewind="10it", mode="fine_tune")
    for ticket in finder.find(FakeLab()):
        made = manifest.of(ticket, Task(), finder, "rewound")
        again = manifest.ticket(
            json.loads(json.dumps(made)), manifest.packed(ticket.mask), ticket.state
        )
        assert again == ticket
        assert again.id == ticket.id == made["id"]
        assert made["finder"] == "rewound"


def test_densities_are_those_of_the_masks() -> None:
    ticket = list(EarlyRewind(levels=2, rewind="10it").find(FakeLab()))[-1]
    made = manifest.of(ticket, Task(), EarlyRewind(), "rewound")
    bits = manifest.packed(ticket.mask)
    assert manifest.densities(made, bits) == ticket.mask.densities()
    assert sum(array.nbytes for array in bits.values()) < ticket.mask.size / 8 + len(bits)
    assert all(array.dtype == np.uint8 for array in bits.values())
