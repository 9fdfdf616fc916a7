"""Fashion-MNIST: rebuilds its four published files from copies with other gzip headers."""

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

from ltx.core.errors import UsageError


def rebuild(source: Path, checksums: Mapping[str, str], target: Path) -> None:
    """Write the original of each file of `source` into `target`; `checksums` are their SHA-256.

    Debian (package dataset-fashion-mnist) rewrote the gzip headers and kept the compressed bytes.
    """
    for file, checksum in sorted(checksums.items()):
        original = original_gzip(source / file)
        # Checked here because TFDS would download a file whose checksum does not match.
        if hashlib.sha256(original).hexdigest() != checksum:
            raise UsageError(
                f"{source / file} is not the {file} of Fashion-MNIST (expected "
                f"sha256 {checksum} under its original gzip header); take it from Debian's "
                "package dataset-fashion-mnist or from github.com/zalandoresearch"
            )
        (target / file).write_bytes(original)


def original_gzip(path: Path) -> bytes:
    """The content of `path` with the gzip header of the published file."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); expected a folder with the four "
            "Fashion-MNIST files, such as those of Debian's package dataset-fashion-mnist"
        ) from error
    mtime = 1504176606 if path.name.startswith("train-") else 1504176627
    header = struct.pack("<4sIBB", b"\x1f\x8b\x08\x08", mtime, 0, 3) + path.stem.encode() + b"\0"
    has_name = packed[3:4] == b"\x08"
    return header + packed[packed.find(b"\0", 10) + 1 if has_name else 10 :]
