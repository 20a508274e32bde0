"""The synchronizer that the mock plays: which state it is in at which time of its own clock."""

import random
import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from probe.contract.verdict import Verdict
from probe.mock import model as models
from probe.mock.answers import Admin
from probe.mock.answers import Reply
from probe.mock.answers import answer
from probe.mock.faults import Mode
from probe.mock.faults import Port

VERSION = "5.12.4"
CONDITIONS = {"backend": ("ok", "500", "refused", "hang"), "redis": ("ok", "refused", "hang")}
_PRESETS = {"healthy": models.settled, "unhealthy": models.unhealthy, "starting": models.starting}
_PLAIN_ON_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class Running:
    """The mode, and the model behind it, on a clock that goes `scale` times as fast as ours."""

    plain_on_tls = _PLAIN_ON_TLS

    def __init__(  # noqa: PLR0913
        self,
        kind: str,
        mode: Mode,
        *,
        scale: float,
        conditions: Mapping[str, str],
        username: str,
        password: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind = kind
        self.conditions = dict(conditions)
        self._began = time.time()
        self._clock, self._zero, self._scale = clock, clock(), scale
        self._turn = 0
        self.begin(mode)

    def now(self):
        return self._began + (self._clock() - self._zero) * self._scale

    def begin(self, mode: Mode) -> None:
        self.mode = mode
        self._turn = 0
        self._models = [
            models.with_conditions(
                _PRESETS[p](self.kind, self.now()), now=self.now(), **self.conditions
            )
            for p in mode.presets
        ]

    def change(self, **c) -> None:
        self.conditions |= {k: v for k, v in c.items() if v is not None}
        self._models = [
            models.with_conditions(m, now=self.now(), **self.conditions) for m in self._models
        ]

    def turn(self) -> int:
        turn = self._turn
        self._turn += 1
        return turn

    @property
    def port(self) -> Port:
        if self.mode.presets and not models.port_open(self._models[0], self.now()):
            return Port.CLOSED
        return self.mode.port

    @property
    def expected(self) -> str:
        if not self.mode.presets:
            return self.mode.lines[self._turn % len(self.mode.lines)] if self.mode.lines else ""
        if self.port is Port.CLOSED:
            return Verdict("refused").line
        return Verdict(
            "200"
            if models.healthy(self._models[self._turn % len(self._models)], self.now())
            else "status 500"
        ).line

    def answer(self, data: bytes, turn: int) -> Reply | None:
        if not self._models:
            return None
        return answer(
            data,
            Admin(self._models[turn % len(self._models)]),
            now=self.now(),
            shuffle=random.shuffle,
        )

    def described(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "port_open": self.port is Port.OPEN,
            "healthy": models.healthy(self._models[0], self.now()),
        }
