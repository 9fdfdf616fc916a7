"""Engine: device, precision and compilation settings, which change speed and rounding only."""

import dataclasses

from ltx.core.validation import check_choice, check_count


@dataclasses.dataclass(frozen=True)
class Engine:
    """Where and how programs run.

    `strategy`: "one" device, "mirrored" over all devices of the kind, or "tpu". `device` is the
    kind, "cpu" or "gpu"; "auto" takes a GPU where there is one. `precision` is that of the
    forward and backward pass; weights stay float32. `compile`: "xla", "graph", or "auto", which is
    XLA except for convolutions on a CPU and for mirrored replicas. Data sets up to `resident_mb`
    live on the device, larger ones are streamed; results are the same. `sparse` "always" trains on
    the sparse engine, whose steps cost what survives, and refuses what it does not know; "never"
    trains on the dense one. They differ in rounding.
    """

    strategy: str = "one"
    device: str = "auto"
    precision: str = "float32"
    compile: str = "auto"
    deterministic: bool = True
    resident_mb: int = dataclasses.field(default=2048, compare=False)
    sparse: str = "never"

    def __post_init__(self) -> None:
        check_choice("Engine.strategy", self.strategy, ("one", "mirrored", "tpu"))
        check_choice("Engine.device", self.device, ("auto", "cpu", "gpu"))
        check_choice("Engine.precision", self.precision, ("float32", "bfloat16", "float16"))
        check_choice("Engine.compile", self.compile, ("auto", "xla", "graph"))
        check_count("Engine.resident_mb", self.resident_mb, least=0)
        check_choice("Engine.sparse", self.sparse, ("never", "always"))
