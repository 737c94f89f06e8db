"""Plain data as a configuration file that a person would have written: short things on one line, comments where they
belong, every text quoted that YAML would read as something else.

What `load_text` reads back is what was given (a property test holds it to that).
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pointsman.config.jsonschema import EDITOR_LINE
from pointsman.config.problems import Loc

WIDTH: Final = 116
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*|[0-9]+(?:ms|s|m|h|B|KiB|MiB|GiB|KB|MB|GB)", re.ASCII)
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(data: Mapping[str, Any], comments: Mapping[Loc, str] | None = None, head: str = "") -> str:
    """The file: the editor's line, `head` as a comment, then `data`. A comment stands above the place it is given for."""
    said = dict(comments or {})
    lines = [EDITOR_LINE]
    if head:
        lines += ["#", *_comment(head, 0)]
    for key, value in data.items():
        lines += ["", *_entry(key, value, (key,), 0, said)]
    if () in said:
        lines += ["", *_comment(said[()], 0)]
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any, loc: Loc, indent: int, comments: Mapping[Loc, str]) -> Iterator[str]:
    yield from _above(loc, indent, comments)
    start = f"{' ' * indent}{_scalar(key)}:"
    if (flow := _fitting(value, loc, len(start) + 1, comments)) is not None:
        yield f"{start} {flow}"
        return
    yield start
    if isinstance(value, Mapping):
        for inner, part in value.items():
            yield from _entry(inner, part, (*loc, inner), indent + 2, comments)
        return
    for i, item in enumerate(value):
        yield from _item(item, (*loc, i), indent + 2, comments)


def _item(item: Any, loc: Loc, indent: int, comments: Mapping[Loc, str]) -> Iterator[str]:
    yield from _above(loc, indent, comments)
    start = f"{' ' * indent}-"
    if (flow := _fitting(item, loc, len(start) + 1, comments)) is not None:
        yield f"{start} {flow}"
        return
    if isinstance(item, Mapping):
        first = True
        for key, part in item.items():
            for line in _entry(key, part, (*loc, key), indent + 2, comments):
                is_comment = line.lstrip().startswith("#")
                yield f"{start} {line[indent + 2:]}" if first and not is_comment else line
                first = first and is_comment
        return
    yield start
    for i, part in enumerate(item):
        yield from _item(part, (*loc, i), indent + 2, comments)


def _above(loc: Loc, indent: int, comments: Mapping[Loc, str]) -> Iterator[str]:
    if loc in comments:
        yield from _comment(comments[loc], indent)


def _comment(text: str, indent: int) -> list[str]:
    """Wrapped to the width; line breaks of the text and lines that begin with a space are kept."""
    lead = f"{' ' * indent}# "
    lines: list[str] = []
    for paragraph in text.split("\n"):
        shown = _UNPRINTABLE.sub("?", paragraph)
        if not shown or shown.startswith(" "):
            lines.append(f"{lead}{shown}".rstrip())
        else:
            lines += textwrap.wrap(shown, WIDTH, initial_indent=lead, subsequent_indent=lead, break_long_words=False,
                                   break_on_hyphens=False)
    return lines


def _fitting(value: Any, loc: Loc, column: int, comments: Mapping[Loc, str]) -> str | None:
    """The value on one line, where that is how people write it: scalars, lists of them, small mappings deep inside."""
    if not isinstance(value, Mapping | list | tuple) or not value:
        return _flow(value)
    has_comment = any(place[: len(loc)] == loc and place != loc for place in comments)
    is_outline = isinstance(value, Mapping) and len(loc) <= 2
    is_list_of_parts = not isinstance(value, Mapping) and isinstance(value[0], Mapping)
    if has_comment or is_outline or is_list_of_parts:
        return None
    flow = _flow(value)
    return flow if column + len(flow) <= WIDTH else None


def _flow(value: Any) -> str:
    match value:
        case Mapping():
            return f"{{{', '.join(f'{_scalar(key)}: {_flow(part)}' for key, part in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(_flow(part) for part in value)}]"
        case _:
            return _scalar(value)


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return number(value)
        case _:
            text = str(value)
            if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
                return text
            quoted = json.dumps(text, ensure_ascii=False)
            return _UNPRINTABLE.sub(lambda found: f"\\U{ord(found[0]):08X}", quoted)


def number(value: float) -> str:
    """A plain decimal: YAML reads `1e-07` as text."""
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return text or "0"
