"""The one table of the contract: rows of `tests/data/contract.jsonl`, the corpus and our own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.probes import ROOT
from tests.support.scripted import Step

TABLE = ROOT / "tests" / "data" / "contract.jsonl"

# What a probe is given where its verdict does not hang on the deadline: noise must not decide.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Case:
    """What a server does, and the line that every probe prints of it."""

    name: str
    steps: tuple[Step, ...]
    line: str
    timeout: float = PATIENCE
    listen: bool = True

    @property
    def code(self) -> int:
        return int(not self.line.startswith("healthy: "))

    @property
    def verdict(self) -> tuple[int, str]:
        return self.code, self.line

    @property
    def reads_the_request(self) -> bool:
        return ["read_request"] in self.steps

    @property
    def answer(self) -> bytes | None:
        """What is sent, where that is one write after the request and before the close."""
        match self.steps:
            case [["read_request"], ["send_hex", str(data)], ["close"]]:
                return bytes.fromhex(data)
            case _:
                return None


def load() -> Iterator[Case]:
    for text in TABLE.read_text(encoding="ascii").splitlines():
        row = json.loads(text)
        late = row["line"] == "unhealthy: timeout"
        yield Case(
            name=row["name"],
            steps=tuple(row["script"]),
            line=row["line"],
            timeout=row.get("timeout_ms", 1000) / 1000 if late else PATIENCE,
            listen=row.get("listen", True),
        )


CASES = tuple(load())


def status_line(answer: bytes) -> bytes:
    return answer[: answer.index(b"\n") + 1]


# The good answers: each is also sent split at every byte of its status line, and byte by byte.
LONGEST_SPLIT = 64
ANSWERS = {
    case.name: case.answer
    for case in CASES
    if case.code == 0 and case.answer and len(status_line(case.answer)) <= LONGEST_SPLIT
}


def send(data: bytes) -> Step:
    return ["send_hex", data.hex()]


def pause(milliseconds: int) -> Step:
    return ["sleep_ms", milliseconds]


def split_cases() -> Iterator[Case]:
    """Each good answer in two segments, split at every byte up to the one behind its line end."""
    for name, answer in ANSWERS.items():
        for at in range(1, min(len(status_line(answer)) + 1, len(answer) - 1)):
            steps = (["read_request"], send(answer[:at]), pause(10), send(answer[at:]), ["close"])
            yield Case(f"{name} split at {at}", steps, "healthy: 200")


def dripped_cases() -> Iterator[Case]:
    """Each good answer byte by byte, and silence after its line end."""
    for name, answer in ANSWERS.items():
        bytewise = (
            step for byte in status_line(answer) for step in (send(bytes([byte])), pause(4))
        )
        yield Case(f"{name} dripped", (["read_request"], *bytewise, ["hang"]), "healthy: 200")
