"""Documents as text: stable order, and strings that every parser reads as strings."""

import io
import json
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from ruamel.yaml.scalarstring import LiteralScalarString

# What no YAML 1.1 or 1.2 parser takes for anything but text; kubectl and cfn read 1.1, where `no`
# is a boolean, 012 a number and 12:30 another.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*")
# What JSON leaves as it is and YAML takes for a line break or refuses.
_UNPRINTABLE = re.compile("[\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff]")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
_BLOCK = re.compile(r"(?![ \n])[\t\n -~]*[!-~]\n?")


def to_json(document: Any) -> str:
    """Return indented JSON with a final newline, keys in the order the builder chose."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def to_yaml(*documents: Any, header: str = "", list_offset: int = 2) -> str:
    """Return YAML documents in block style; *header* is a comment before the first.

    The dashes of lists are indented by *list_offset*.
    """
    texts = [_dump(document, list_offset) for document in documents]
    return _comment(header) + "---\n".join(texts)


def _comment(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


def scalar(value: Any) -> str:
    """Return a single value, or a list or mapping in flow style, for one line of YAML."""
    return value if isinstance(value, str) and _is_plain(value) else flow(value)


def flow(value: Any, indent: str | None = None) -> str:
    """Return JSON that is flow style of YAML too; over several lines with an *indent*."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _dump(document: Any, list_offset: int) -> str:
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=2 + list_offset, offset=list_offset)
    yaml.representer.ignore_aliases = lambda _data: True
    stream = io.StringIO()
    yaml.dump(_quoted(document), stream)
    return stream.getvalue()


def _quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {_quoted(key): _quoted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted(item) for item in value]
    if not isinstance(value, str):
        return value
    if _is_plain(value):
        return value
    if "\n" in value and _BLOCK.fullmatch(value):
        return LiteralScalarString(value)
    return DoubleQuotedScalarString(value)


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and text.lower() not in _WORDS
