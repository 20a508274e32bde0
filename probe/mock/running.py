"""The synchronizer that the mock plays: its state at a time of its own clock, and its answers."""

import json
import random
import time
from collections.abc import Callable
from collections.abc import Mapping

from probe.contract.verdict import Verdict
from probe.mock import model as models
from probe.mock.answers import Reply
from probe.mock.answers import admin
from probe.mock.answers import answer
from probe.mock.faults import MODES
from probe.mock.faults import Mode
from probe.mock.faults import Port
from probe.mock.model import Model
from probe.mock.model import Settings
from probe.synchronizer.health import write_application
from probe.synchronizer.health import write_dependencies

CONDITIONS = {"backend": models.BACKENDS, "redis": models.REDISES}

_PRESETS: dict[str, Callable[[Settings, float], Model]] = {
    "healthy": models.settled,
    "unhealthy": models.unhealthy,
    "starting": models.starting,
}


class Running:
    """The mode, and the models behind it, on a clock that goes `scale` times as fast as ours.

    A mode begins with new models, one for each of its turns; the conditions outlast it.
    """

    def __init__(  # noqa: PLR0913
        self,
        kind: str,
        mode: Mode = MODES["healthy"],
        *,
        scale: float = 1.0,
        conditions: Mapping[str, str | None] | None = None,
        username: str = "",
        password: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mode = mode
        self._settings = Settings(kind, username=username, password=password)
        self.conditions = dict.fromkeys(CONDITIONS, "ok")
        self._clock, self._scale = clock, scale
        self._zero, self._began = clock(), time.time()
        self._turns = 0
        self._models: list[Model] = []
        self.change(**(conditions or {}))
        self.begin(mode)

    @property
    def now(self) -> float:
        return self._began + (self._clock() - self._zero) * self._scale

    def begin(self, mode: Mode) -> None:
        now = self.now
        self.mode = mode
        self._turns = 0
        self._models = [
            models.with_conditions(_PRESETS[preset](self._settings, now), now, **self.conditions)
            for preset in mode.presets
        ]

    def change(self, **conditions: str | None) -> None:
        """Let backend and Redis behave otherwise from now on; None leaves one as it is."""
        changed = {name: value for name, value in conditions.items() if value is not None}
        for name, value in changed.items():
            if value not in CONDITIONS[name]:
                raise ValueError(f"{name}: {value!r} is none of {', '.join(CONDITIONS[name])}")
        self.conditions |= changed
        now = self.now
        self._models = [models.with_conditions(model, now, **changed) for model in self._models]

    def turn(self) -> int:
        """Count a connection; returns which turn is its."""
        self._turns += 1
        return self._turns - 1

    @property
    def port(self) -> Port:
        if self._models and not models.port_open(self._models[0], self.now):
            return Port.CLOSED
        return self.mode.port

    @property
    def expected(self) -> str:
        """The line that a probe prints which is let in now; empty where only a script knows it."""
        if self._models:
            healthy = models.healthy(self._model(self._turns), self.now)
            return Verdict("200" if healthy else "status 500").line
        return self.mode.lines[0] if self.mode.lines else ""

    def _model(self, turn: int) -> Model:
        return self._models[turn % len(self._models)]

    def answer(self, data: bytes, turn: int, *, plain_on_tls: bool) -> Reply | None:
        """Answer the first request in *data*; None where more of it is needed."""
        if not self._models:  # the mode has changed under this connection
            return Reply(b"", len(data), close=True)
        now = self.now
        state = admin(self._model(turn), now, tls=plain_on_tls)
        reply = answer(data, state, now=now, shuffle=random.shuffle)
        if reply is not None and reply.action == "stop":
            self._models = [models.stop(model, now) for model in self._models]
        return reply

    def described(self) -> dict[str, object]:
        """Return the state as JSON has it: the health as the next to ask gets it."""
        state: dict[str, object] = {
            "kind": self._settings.kind,
            "mode": self.mode.name,
            "now": self.now,
            "port": self.port.value,
            "application": None,
            "dependencies": None,
        }
        if self._models:
            model = self._model(self._turns)
            state["application"] = json.loads(write_application(models.health(model, self.now)))
            dependencies = models.dependencies(model, self.now)
            state["dependencies"] = json.loads(write_dependencies(dependencies))
        return state
