"""YAML text as plain data, with the line of every key and item.

Why not `yaml.safe_load`? It forgets lines, lets the second of two equal keys win, reads `0123` as 83 and `1:30` as 90,
and expands nine lines of aliases into gigabytes. This reader takes the node tree, keeps the lines, and says so.
Values are never quoted in its sentences: any of them may be a secret.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from pointsman.config.problems import Loc, Problem

MAX_BYTES: Final = 1024 * 1024
"""A configuration is text written by people; one MiB is some 20,000 lines of it."""
MAX_NODES: Final = 100_000
"""Values after aliases are expanded: bounds what a few anchors of anchors can make."""
MAX_DEPTH: Final = 32

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,17})")
_BOOLS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_TEXT_TAGS: Final = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Document:
    """`data` (dicts, lists, str, int, float, bool, None), `lines` by place, and what could not be read."""

    def __init__(self, text: str) -> None:
        self.data: Any = None
        self.lines: dict[Loc, int] = {(): 1}
        self.problems: list[Problem] = []
        self._nodes = 0
        node = self._compose(text)
        if node is not None:
            self.data = self._value(node, ())

    def _compose(self, text: str) -> yaml.Node | None:
        if len(text) > MAX_BYTES:
            self._problem((), f"the file is larger than {MAX_BYTES} bytes", line=1)
            return None
        try:
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as exc:
            mark = exc.problem_mark or exc.context_mark
            said = ", ".join(part for part in (exc.context, exc.problem) if part)
            self._problem((), f"not YAML: {said}", line=mark.line + 1 if mark else 1)
        except yaml.reader.ReaderError as exc:
            line = text.count("\n", 0, exc.position) + 1
            self._problem((), f"not YAML: character U+{ord(text[exc.position]):04X} is not allowed", line=line)
        except RecursionError:
            self._problem((), f"not readable: nested deeper than {MAX_DEPTH} levels", line=1)
        except (yaml.YAMLError, ValueError, OverflowError) as exc:
            # PyYAML lets chr() of an impossible "\UFFFFFFFF" escape through.
            self._problem((), f"not YAML: {type(exc).__name__} while reading", line=1)
        return None

    def _problem(self, loc: Loc, sentence: str, hint: str = "", line: int | None = None) -> None:
        self.problems.append(Problem(loc, sentence, hint, line))

    def _value(self, node: yaml.Node, loc: Loc) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(loc) > MAX_DEPTH:
            if not any(p.sentence.startswith("too ") for p in self.problems):
                what = "nested too deeply" if len(loc) > MAX_DEPTH else "too large once its aliases are expanded"
                self._problem(loc[:4], f"too much: {what}", "write it out plainly", line=node.start_mark.line + 1)
            return None
        self.lines.setdefault(loc, node.start_mark.line + 1)
        match node:
            case yaml.MappingNode():
                return self._mapping(node, loc)
            case yaml.SequenceNode():
                self._tag(node, loc, "tag:yaml.org,2002:seq")
                return [self._value(item, (*loc, i)) for i, item in enumerate(node.value)]
            case _:
                return self._scalar(node, loc)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        self._tag(node, loc, "tag:yaml.org,2002:map")
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = self._merge(value_node, loc) | merged
            elif (key := self._key(key_node, loc)) is None:
                continue
            elif key in own:
                self._problem((*loc, key), "this key is given twice", "keep one of them", line=line)
            else:
                self.lines[(*loc, key)] = line
                own[key] = self._value(value_node, (*loc, key))
        return merged | own

    def _merge(self, node: yaml.Node, loc: Loc) -> dict[str, Any]:
        """`<<: *anchor`: the anchor's keys, which the mapping's own keys override."""
        merged: dict[str, Any] = {}
        for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self._value(part, loc)
            if isinstance(value, dict):
                merged = value | merged
            else:
                self._problem(loc, "`<<` takes a mapping or a list of mappings", line=part.start_mark.line + 1)
        return merged

    def _key(self, node: yaml.Node, loc: Loc) -> str | None:
        """The key as text, or None after saying why not."""
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode):
            self._problem(loc, "a key must be text, not a list or a mapping", line=line)
            return None
        text = str(node.value)
        if node.tag not in _TEXT_TAGS:
            as_what = {"bool": "a boolean", "null": "null"}.get(node.tag.rsplit(":", 1)[-1], "a number")
            shown = text[:40] or "an empty key"
            self._problem(loc, f"YAML reads the key `{shown}` as {as_what}", f'quote it: "{text[:40]}"', line=line)
            return None
        if _SURROGATE.search(text) or len(text) > 256 or not text.isprintable():
            self._problem(loc, "a key must be printable text of at most 256 characters", line=line)
            return None
        return text

    def _tag(self, node: yaml.Node, loc: Loc, expected: str) -> None:
        if node.tag != expected:
            self._problem(loc, "YAML tags are not supported", "remove the tag (`!...`)", line=node.start_mark.line + 1)

    def _scalar(self, node: yaml.Node, loc: Loc) -> Any:
        text = str(node.value)
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str" | "timestamp" | "value":
                return self._text(text, node, loc)
            case "null":
                return None
            case "bool" if text.lower() in _BOOLS:
                return _BOOLS[text.lower()]
            case "int":
                return self._int(text, node, loc)
            case "float" if ":" not in text:
                return _float(text)
            case "float":
                self._problem(loc, "YAML reads digits with `:` as a number to the base 60", "quote it",
                              line=node.start_mark.line + 1)
            case _:
                self._tag(node, loc, "")
        return None

    def _text(self, text: str, node: yaml.Node, loc: Loc) -> str | None:
        if _SURROGATE.search(text) is None:
            return text
        self._problem(loc, "the text holds half a character (a lone surrogate)", line=node.start_mark.line + 1)
        return None

    def _int(self, text: str, node: yaml.Node, loc: Loc) -> int | None:
        if _INT.fullmatch(text):
            return int(text.replace("_", ""))
        self._problem(
            loc, "YAML reads this as an octal, hexadecimal or base-60 number, or it has more than 18 digits",
            "quote it if it is text; write a plain decimal if it is a number", line=node.start_mark.line + 1,
        )
        return None


def _float(text: str) -> float | None:
    plain = text.replace("_", "").lower()
    for name in ("inf", "nan"):
        plain = plain.replace(f".{name}", name)
    try:
        return float(plain)
    except ValueError:
        return None
