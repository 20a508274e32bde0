"""What `probe check` can show besides its line: another prober, both, phases, bodies, JSON."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from probe.client.blocking import check
from probe.client.shell import shell_check
from probe.contract.target import Target
from probe.contract.verdict import Verdict
from probe.scripts import script_path

SHOWN_BYTES = 120
"""Bytes of a read that --trace shows; the rest is counted."""


@dataclass(slots=True)
class Trace:
    """The phases of one check, each with the seconds from start to its end."""

    start: float = field(default_factory=time.monotonic)
    phases: list[dict[str, Any]] = field(default_factory=list)

    def observe(self, phase: str, what: object) -> None:
        seen = {row["phase"] for row in self.phases}
        name = "first byte" if phase == "receive" and "first byte" not in seen else phase
        self._add(name, _escape(what) if isinstance(what, bytes) else _spell(what))

    def finish(self, verdict: Verdict) -> None:
        self._add("status line" if verdict.status else "verdict", verdict.reason)

    def _add(self, phase: str, detail: str) -> None:
        seconds = round(time.monotonic() - self.start, 6)
        self.phases.append({"phase": phase, "seconds": seconds, "detail": detail})

    def text(self) -> str:
        return "".join(
            f"{row['phase']:<12} {row['seconds'] * 1000:9.2f} ms  {row['detail']}\n"
            for row in self.phases
        )


def _escape(data: bytes) -> str:
    shown = repr(data[:SHOWN_BYTES])[1:]
    more = len(data) - SHOWN_BYTES
    return shown + (f" and {more} bytes more" if more > 0 else "" if data else " (end of stream)")


def _spell(what: object) -> str:
    match what:
        case list():
            return ", ".join(map(str, what))
        case (host, port, *_):
            return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
        case _:
            return str(what)


def run_view(options: Mapping[str, str], target: Target) -> tuple[Verdict, str]:
    """Check as *options* ask. Returns the verdict that makes the exit code, and what to print."""
    trace = Trace()
    verdict = _ask(options, target, trace)
    document = make_document(verdict, target)
    lines = [verdict.line]
    if "trace" in options:
        trace.finish(verdict)
        document["trace"] = trace.phases
        if options.get("format") != "json" and sys.stderr is not None:
            sys.stderr.write(trace.text())
    if "explain" in options:
        from probe.cli.explain import explain

        explanation = explain(target, verdict)
        document["explain"] = explanation.document()
        lines.append(explanation.text())
    if "compare" in options:
        verdict, lines[:1] = _compare(verdict, shell_check(script_path(), target), document)
    return verdict, json.dumps(document) if options.get("format") == "json" else "\n".join(lines)


def _compare(
    verdict: Verdict, other: Verdict, document: dict[str, Any]
) -> tuple[Verdict, list[str]]:
    same = other.line == verdict.line
    document |= {"shell": _brief(other), "agree": same}
    return verdict if same else Verdict("internal", verdict.seconds), [
        f"reference  {verdict.line}",
        f"shell      {other.line}",
        "they agree" if same else "they differ: please report this as a bug",
    ]


def _ask(options: Mapping[str, str], target: Target, trace: Trace) -> Verdict:
    if options.get("via") == "shell":
        return shell_check(script_path(), target)
    return check(target, observe=trace.observe)


def _brief(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": "healthy" if verdict.healthy else "unhealthy",
        "reason": verdict.word,
        "line": verdict.line,
        "status": verdict.status,
        "seconds": round(verdict.seconds, 6),
    }


def make_document(verdict: Verdict, target: Target | None) -> dict[str, Any]:
    """Make the JSON of one check: schema 1."""
    return {"schema": 1, **_brief(verdict), "target": target and _describe(target)}


def _describe(target: Target) -> dict[str, Any]:
    fields = ("host", "port", "path", "timeout", "expect")
    return {name: getattr(target, name) for name in fields} | {"tls": target.tls is not None}
