"""Fashion-MNIST: its four files as they were published, from any copy with another gzip header."""

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

from ltx.core.errors import UsageError


def rebuild(source: Path, checksums: Mapping[str, str], target: Path) -> None:
    """Writes into `target` the original of each file of `source`; `checksums` are their SHA-256.

    Debian (package dataset-fashion-mnist) rewrote the gzip headers and kept the compressed bytes.
    """
    for file, checksum in sorted(checksums.items()):
        original = original_gzip(source / file)
        # checked here because TFDS would try the network for a file it does not accept
        if hashlib.sha256(original).hexdigest() != checksum:
            raise UsageError(
                f"{source / file} is not the {file} of Fashion-MNIST (expected "
                f"sha256 {checksum} under its original gzip header); take it from Debian's "
                "package dataset-fashion-mnist or from github.com/zalandoresearch"
            )
        (target / file).write_bytes(original)


def original_gzip(path: Path) -> bytes:
    """The file of `path` under the gzip header that Zalando published it with."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); expected a folder with the four "
            "Fashion-MNIST files, such as those of Debian's package dataset-fashion-mnist"
        ) from error
    stamp = 1504176606 if path.name.startswith("train-") else 1504176627
    header = struct.pack("<4sIBB", b"\x1f\x8b\x08\x08", stamp, 0, 3) + path.stem.encode() + b"\0"
    named = packed[3:4] == b"\x08"
    return header + packed[packed.find(b"\0", 10) + 1 if named else 10 :]
