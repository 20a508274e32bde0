"""Findings: what a command holds against a file, and how it is told as text, JSON or SARIF.

Pure: the renderers return text. Whatever a path or a message holds, the text has no control
characters for a terminal to obey and can be encoded.
"""

import json
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import astuple
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_ORDER = list(Severity)
# SARIF 2.1.0, 3.27.10.
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: its stable `code`, where it is, what is wrong, why it matters, the way out.

    `path` is the file's own place (in an image: inside it); empty where no one file is meant.
    `why` is whole sentences; the other texts have no full stop.
    """

    code: str
    severity: Severity
    path: str
    message: str
    fix: str = ""
    why: str = ""

    @property
    def explanation(self) -> str:
        """What is wrong and why it matters, for formats that have one text for both."""
        return f"{self.message}. {self.why}" if self.why else self.message


def has_error(findings: Iterable[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Sort the gravest first, then by path and code: the same findings give the same text."""
    return sorted(
        findings,
        key=lambda one: (_ORDER.index(one.severity), one.path, one.code, *astuple(one)[3:]),
    )


def to_text(findings: Iterable[Finding]) -> str:
    """Return a paragraph a finding and a last line that counts them."""
    found = ordered(findings)
    return "".join(_paragraph(one) for one in found) + _summary(found) + "\n"


def to_json(findings: Iterable[Finding]) -> str:
    """Return `{"schema": 1, "findings": [...]}`."""
    rows = [_row(finding) for finding in ordered(findings)]
    return _dump({"schema": 1, "findings": rows})


def to_sarif(
    findings: Iterable[Finding],
    version: str,
    descriptions: Mapping[str, str] | None = None,
) -> str:
    """Return a SARIF 2.1.0 log of one run (https://docs.oasis-open.org/sarif/sarif/v2.1.0/).

    *version* is this program's; *descriptions* say in one sentence what a code means. The fix
    stands in the message: SARIF's own `fixes` are edits to a file's text.
    """
    found = ordered(findings)
    codes = sorted({finding.code for finding in found})
    driver = {
        "name": "probe",
        "version": version,
        "rules": [_rule(code, descriptions or {}) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {"ROOT": {"description": {"text": "the root that was looked at"}}},
        "results": [_result(finding, codes) for finding in found],
    }
    return _dump({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _paragraph(finding: Finding) -> str:
    place = f"{printable(finding.path)}: " if finding.path else ""
    head = f"{finding.severity}: {place}{printable(finding.message)} [{printable(finding.code)}]\n"
    # A note is read for its own sake; what is graver asks for something to be done.
    why = "" if finding.severity is Severity.INFO else finding.why
    return head + _line("why", why) + _line("fix", finding.fix)


def _line(word: str, text: str) -> str:
    return f"    {word}: {printable(text)}\n" if text else ""


def _summary(findings: Sequence[Finding]) -> str:
    if not findings:
        return "nothing found"
    counts = {one: sum(found.severity is one for found in findings) for one in _ORDER}
    plural = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.INFO: "notes"}
    single = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    return ", ".join(
        f"{count} {(single if count == 1 else plural)[one]}"
        for one, count in counts.items()
        if count
    )


def _row(finding: Finding) -> dict[str, str]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "path": finding.path,
        "message": finding.explanation,
        "fix": finding.fix,
    }


def _rule(code: str, descriptions: Mapping[str, str]) -> dict[str, Any]:
    described = {"shortDescription": {"text": descriptions[code]}} if code in descriptions else {}
    return {"id": code, **described}


def _result(finding: Finding, codes: Sequence[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.explanation + (f"\nfix: {finding.fix}" if finding.fix else "")},
    }
    if finding.path:
        artifact = {"uri": _uri(finding.path), "uriBaseId": "ROOT"}
        result["locations"] = [{"physicalLocation": {"artifactLocation": artifact}}]
    return result


def _uri(path: str) -> str:
    """Return a path as a relative reference; bytes that are no UTF-8 come back as they were."""
    try:
        data = path.lstrip("/").encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = path.lstrip("/").encode("utf-8", "backslashreplace")
    # A colon in the first part would make a scheme of it (RFC 3986, 4.2): quote() escapes it.
    return quote(data) or "."


def printable(text: str) -> str:
    """Return a text that commands no terminal and can be encoded, whatever a file's name holds."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    """Escape a character; a byte that is no UTF-8 (PEP 383) as the byte that it was."""
    code = ord(char)
    byte = code - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(char)[1:-1]  # noqa: PLR2004 - bytes


def _valid(value: Any) -> Any:
    """Return JSON data without lone surrogates, which no parser need take (RFC 8259, 8.2)."""
    if isinstance(value, str):
        return "".join(_escaped(one) if "\ud800" <= one <= "\udfff" else one for one in value)
    if isinstance(value, dict):
        return {key: _valid(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_valid(item) for item in value]
    return value


def _dump(document: Mapping[str, Any]) -> str:
    return json.dumps(_valid(document), indent=2, ensure_ascii=False) + "\n"
