"""The modes of the mock: each with what it does and the verdict that the contract gives for it.

What a mode says on a connection is data: steps, as in the contract's corpus, `["send_hex", "48"]`.
Nothing here opens a socket.
"""

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields
from dataclasses import replace
from enum import Enum

from probe.contract.verdict import Verdict

ENDLESS = 10**15
"""So many bytes, or repetitions, that no probe sees the last."""


class StepsError(ValueError):
    """A script with steps that are none: all faults, each with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class ModeError(ValueError):
    """No mode of that name, or a script where none belongs: what was given, what is allowed."""

    def __init__(self, message: str, value: object, allowed: Sequence[str]) -> None:
        super().__init__(f"{message}: {', '.join(allowed)}" if allowed else message)
        self.value = value
        self.allowed = tuple(allowed)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done on a connection; after the last one the connection is closed."""

    verb: str
    data: bytes = b""
    count: int = 1
    milliseconds: int = 0


# What may stand in a script, and which fields of Step its arguments are. `drip` is send_repeat
# one byte at a time, with a pause after each.
VERBS: dict[str, tuple[str, ...]] = {
    "read_request": (),
    "send_hex": ("data",),
    "send_repeat": ("data", "count"),
    "drip": ("data", "milliseconds", "count"),
    "sleep_ms": ("milliseconds",),
    "shutdown_wr": (),
    "close": (),
    "rst": (),
    "hang": (),
}


def _hex(value: object) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(r"(?:[0-9A-Fa-f]{2})*", value):
        raise ValueError("is not hexadecimal")
    return bytes.fromhex(value)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("is not a whole number, 0 or above")
    return value


_ARGUMENTS: dict[str, Callable[[object], bytes | int]] = {
    "data": _hex,
    "count": _whole,
    "milliseconds": _whole,
}
assert {field.name for field in fields(Step)} == {"verb", *_ARGUMENTS}  # noqa: S101


def read_steps(value: object, place: str = "script") -> tuple[Step, ...]:
    """Return a script as JSON or YAML gives it, or raise StepsError with every fault."""
    if not isinstance(value, list) or not value:
        raise StepsError([f"{place}: {_shown(value)} is not a list of steps"])
    steps: list[Step] = []
    faults: list[str] = []
    for index, raw in enumerate(value):
        try:
            steps.append(_read_step(raw, f"{place}[{index}]"))
        except StepsError as error:
            faults += error.faults
    if faults:
        raise StepsError(faults)
    return tuple(steps)


def _read_step(raw: object, place: str) -> Step:
    if not isinstance(raw, list) or not raw or not isinstance(raw[0], str) or raw[0] not in VERBS:
        raise StepsError([f"{place}: {_shown(raw)} is no step: {', '.join(VERBS)}"])
    verb, *arguments = raw
    names = VERBS[verb]
    if len(arguments) != len(names):
        wanted = ", ".join(names) or "no argument"
        raise StepsError([f"{place}: {verb} takes {wanted}"])
    faults: list[str] = []
    found = dict(_read_arguments(names, arguments, f"{place}: {verb}", faults))
    if faults:
        raise StepsError(faults)
    return replace(Step(verb), **found)  # type: ignore[arg-type] # _ARGUMENTS has the fields' types


def _read_arguments(
    names: Iterable[str], arguments: Iterable[object], place: str, faults: list[str]
) -> Iterator[tuple[str, bytes | int]]:
    for name, argument in zip(names, arguments, strict=True):
        try:
            yield name, _ARGUMENTS[name](argument)
        except ValueError as error:
            faults.append(f"{place}: {name} {_shown(argument)} {error}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."  # noqa: PLR2004


class Port(Enum):
    """What the kernel does with those who connect."""

    OPEN = "open"
    CLOSED = "closed"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Mode:
    """One mode: it plays `steps`, or answers as the synchronizer in the states `presets`.

    More than one of `presets`, and of `reasons`, are taken by turns, one a connection.
    """

    name: str
    doc: str
    reasons: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    presets: tuple[str, ...] = ()
    port: Port = Port.OPEN

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines that the probes print, in turn."""
        return tuple(Verdict(reason).line for reason in self.reasons)

    @property
    def verdict(self) -> str:
        return ", then ".join(self.lines) or "whatever the script makes it"


READ = Step("read_request")
CLOSE = Step("close")
RESET = Step("rst")
HANG = Step("hang")
_LINE = b"HTTP/1.1 200 OK\r\n"
_WHOLE = _LINE + b"Content-Length: 2\r\n\r\nok"


def _send(data: bytes) -> Step:
    return Step("send_hex", data)


def _sleep(milliseconds: int) -> Step:
    return Step("sleep_ms", milliseconds=milliseconds)


def _endless(data: bytes) -> Step:
    return Step("send_repeat", data, ENDLESS)


# What a TLS server says to a question that is none: fatal protocol_version, close_notify.
_ALERTS = bytes.fromhex("15030300020246 15030300020100")

_ROWS = (
    Mode("healthy", "answers 200, like a synchronizer that has run for a while",
         ("200",), presets=("healthy",)),
    Mode("unhealthy", "answers 500: a sync loop has stopped; it stays so, as the real one does",
         ("status 500",), presets=("unhealthy",)),
    Mode("starting", "starts up: sync answers 200 without lastHit, proxy's port is still closed",
         ("200",), presets=("starting",)),
    Mode("flapping", "healthy and unhealthy by turns, one a connection",
         ("200", "status 500"), presets=("healthy", "unhealthy")),
    Mode("refuse", "nothing listens on the port", ("refused",), port=Port.CLOSED),
    Mode("backlog", "the accept queue is full and nobody accepts: connecting gets no answer",
         ("timeout",), port=Port.FULL),
    Mode("hang", "accepts, never answers", ("timeout",), (READ, HANG)),
    Mode("slow", "answers 200 after one second: within the default timeout of 3 s",
         ("200",), (READ, _sleep(1000), _send(_WHOLE), CLOSE)),
    Mode("drip", "a byte each 200 ms for ever: each comes in time, the line never ends",
         ("timeout",), (READ, Step("drip", _LINE[:13], milliseconds=200),
                        Step("drip", b"\0", ENDLESS, 200))),
    Mode("early-close", "closes the connection after half a status line",
         ("closed",), (READ, _send(_LINE[:9]), CLOSE)),
    Mode("reset-before", "resets the connection before it has said anything",
         ("closed",), (READ, RESET)),
    Mode("reset-mid", "resets the connection after half a status line",
         ("closed",), (READ, _send(_LINE[:9]), _sleep(80), RESET)),
    Mode("reset-after", "resets after the whole line: Linux keeps what has arrived readable",
         ("200",), (READ, _send(_LINE), _sleep(80), RESET)),
    Mode("garbage", "answers with bytes that are no HTTP at all",
         ("malformed",), (READ, _send(b"\x7fELF\x02\x01\x01 \xff\xfe\xfd not HTTP\r\n"), CLOSE)),
    Mode("tls", "answers a plain question with TLS alerts, as a TLS port may",
         ("malformed",), (READ, _send(_ALERTS), CLOSE)),
    Mode("http09", "answers with a body alone, as HTTP/0.9 did: no status line",
         ("malformed",), (READ, _send(b'{"healthy":true}\n'), CLOSE)),
    Mode("endless-line", "a status line that goes on for ever",
         ("malformed",), (READ, _send(_LINE[:13]), _endless(b"A"))),
    Mode("endless-header", "a header that goes on for ever: nothing after the line is read",
         ("200",), (READ, _send(_LINE + b"X-Endless: "), _endless(b"A"))),
    Mode("nul", "a NUL in the status line",
         ("malformed",), (READ, _send(b"HTTP/1.1\x00200 OK\r\n\r\n"), CLOSE)),
    Mode("interim", "100 Continue before the 200: nobody asked for it, the first line counts",
         ("status 100",), (READ, _send(b"HTTP/1.1 100 Continue\r\n\r\n" + _WHOLE), CLOSE)),
    Mode("redirect", "302 to a healthy place: redirects are not followed",
         ("status 302",), (READ, _send(b"HTTP/1.1 302 Found\r\nLocation: /health\r\n"
                                       b"Content-Length: 0\r\n\r\n"), CLOSE)),
    Mode("keep-alive", "answers 200 and never closes the connection, though asked to",
         ("200",), (READ, _send(_WHOLE), HANG)),
    Mode("script", "plays the steps it is given", ()),
)  # fmt: skip

MODES = {mode.name: mode for mode in _ROWS}
SCRIPT = MODES["script"]


def mode_named(name: object, script: object = None) -> Mode:
    """Return the mode; `script` is what JSON or YAML says of its steps, and for that mode alone."""
    if not isinstance(name, str) or name not in MODES:
        raise ModeError(f"{_shown(name)} is no mode", name, tuple(MODES))
    if (name == SCRIPT.name) != (script is not None):
        wanted = "needs a script" if name == SCRIPT.name else "takes no script"
        raise ModeError(f"mode {name} {wanted}", script, ())
    if script is None:
        return MODES[name]
    return replace(SCRIPT, steps=read_steps(script))
