"""JSON of files that anybody may have written: no key twice, no text that cannot be encoded."""

import json
import re

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(content: bytes) -> object:
    """The value of a JSON text in UTF-8; ValueError, in one line, if it is not one.

    NaN and infinities are read, as `json` writes them.
    """
    try:
        text = content.decode()
        value = json.loads(text, object_pairs_hook=_object)
        if _SURROGATE.search(text):  # half a pair, as Python reads it, is no text
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise ValueError("expected text in UTF-8, got other bytes") from None
    except RecursionError:
        raise ValueError("expected JSON, got brackets nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON, got none at character {error.pos}") from None
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"expected each key once, got {twice[:60]!r} twice")
    return value
