"""`probe check --explain`: what the health bodies say, what it means, what to do."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from probe.client.body import Answer
from probe.client.body import read_answer
from probe.client.failures import CheckFailedError
from probe.contract.target import Target
from probe.contract.verdict import Verdict
from probe.synchronizer import meaning
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import BodyError
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import parse_application
from probe.synchronizer.health import parse_dependencies
from probe.synchronizer.meaning import NOTES
from probe.synchronizer.meaning import Note

DEPENDENCIES = "/health/dependencies"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the two bodies said (None where they could not be read) and the notes on it."""

    verdict: Verdict
    now: int  # UNIX time, nanoseconds
    application: ApplicationHealth | None
    dependencies: DependenciesHealth | None
    notes: list[Note]

    def document(self) -> dict[str, Any]:
        return {
            "items": list(self._items()),
            "dependencies": [
                {"service": row.service, "healthy": row.healthy, "message": row.message}
                for row in (self.dependencies.dependencies if self.dependencies else ())
            ],
            "notes": [
                {"code": note.code, "means": note.means, "todo": note.todo} for note in self.notes
            ],
        }

    def _items(self) -> Iterator[dict[str, Any]]:
        for item in self.application.items if self.application else ():
            seconds = meaning.age(item, self.now)
            yield {
                "item": item.name,
                "healthy": item.healthy,
                "age_seconds": None if seconds is None else round(seconds, 1),
                "errors": item.error_count,
            }

    def text(self) -> str:
        return "\n".join([*self._item_lines(), *self._dependency_lines(), *self._note_lines()])

    def _item_lines(self) -> Iterator[str]:
        rows = list(self._items())
        if rows:
            yield ""
            yield f"{'item':<15}{'healthy':<9}{'last attempt':<18}errors"
        for row in rows:
            seconds = row["age_seconds"]
            when = "never" if seconds is None else f"{seconds:.0f} s ago"
            state = "yes" if row["healthy"] else "NO"
            yield f"{row['item']:<15}{state:<9}{when:<18}{row['errors'] or 0}"

    def _dependency_lines(self) -> Iterator[str]:
        if self.dependencies is None:
            return
        yield ""
        for row in self.dependencies.dependencies:
            state = "up" if row.healthy else f"DOWN {_printable(row.message or '')}"
            seen = "" if row.last_hit else " (not looked at yet)"
            yield f"{_printable(row.service):<52} {state}{seen}"

    def _note_lines(self) -> Iterator[str]:
        for note in self.notes:
            yield ""
            yield f"{note.code}: {note.means}"
            if note.todo:
                yield f"  what to do: {note.todo}"


def _printable(text: str) -> str:
    """Show the peer's text without letting it steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def explain(target: Target, verdict: Verdict) -> Explanation:
    """Read both bodies of *target* and say what they and *verdict* mean."""
    now = time.time_ns()
    answer = _read(target) if verdict.status else None  # without a status line there is no body
    application = _parse_application(answer)
    dependencies = _read_dependencies(target) if application else None
    notes = [] if verdict.healthy else list(_about_verdict(verdict, answer, application))
    if application:
        notes += meaning.explain_application(application, now)
    elif verdict.healthy:
        notes.append(NOTES["other-service"])
    if dependencies:
        notes += meaning.explain_dependencies(dependencies)
    return Explanation(verdict, now, application, dependencies, notes)


def _about_verdict(
    verdict: Verdict, answer: Answer | None, application: ApplicationHealth | None
) -> Iterator[Note]:
    if application is None:
        body = answer.body if answer else b""
        yield from meaning.explain_reason(verdict.word, verdict.status, body)


def _read(target: Target) -> Answer | None:
    try:
        return read_answer(target, time.monotonic)
    except CheckFailedError:
        return None


def _parse_application(answer: Answer | None) -> ApplicationHealth | None:
    try:
        return parse_application(answer.body) if answer else None
    except BodyError:
        return None


def _read_dependencies(target: Target) -> DependenciesHealth | None:
    answer = _read(
        Target(target.host, target.port, DEPENDENCIES, target.timeout, target.expect, target.tls)
    )
    try:
        return parse_dependencies(answer.body) if answer else None
    except BodyError:
        return None
