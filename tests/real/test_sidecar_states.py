"""The sidecar's states in real time, and what bodies tell that the status code hides.

The mock plays; the sidecar is the real command, with bodies read.
"""

import contextlib
import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from probe.mock.faults import MODES
from probe.mock.faults import Mode
from probe.mock.schedule import read_schedule
from probe.mock.server import Mock
from probe.synchronizer.health import SECOND
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Dependency
from probe.synchronizer.health import Item
from probe.synchronizer.health import write_application
from probe.synchronizer.health import write_dependencies
from tests.support import servers
from tests.support.sidecars import Process
from tests.support.sidecars import sidecar
from tests.support.sidecars import wait_until

pytestmark = pytest.mark.real

INTERVAL = 0.3
SLACK = 1.3
"""Seconds that a busy machine may add."""

THRESHOLDS = {
    "at once": {"failure_threshold": 1, "success_threshold": 1},
    "patient down": {"failure_threshold": 3, "success_threshold": 1},
    "patient both": {"failure_threshold": 4, "success_threshold": 3},
}


def known(process: Process, name: str) -> dict[str, Any]:
    """Return what the API tells of a target, with its states as its lines tell them."""
    rows = {row["name"]: row for row in process.json("/api/v1/targets")["targets"]}
    return dict(rows[name])


def reaches(process: Process, name: str, state: str) -> None:
    wait_until(lambda: known(process, name)["state"] == state, what=f"{name}: {state}")


def changes(process: Process, name: str) -> list[dict[str, Any]]:
    return [line for line in process.lines if line["event"] == "state" and line["target"] == name]


# --- the whole list ------------------------------------------------------------------------------

# What the bodies of these are, where the status line is good.
UNDER_200 = {
    "healthy": [],
    "starting": ["never-synced"],
    "slow": ["other-service"],
    "reset-after": ["unread"],
    "endless-header": ["unread"],
    "keep-alive": ["other-service"],
}
STEADY = [mode for mode in MODES.values() if len(mode.reasons) == 1]


@pytest.fixture(scope="class")
def all_modes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A sidecar on one mock of each mode, three targets each: one for each of the thresholds."""
    with contextlib.ExitStack() as stack:
        targets = []
        for mode in STEADY:
            port = stack.enter_context(Mock(mode=mode.name)).port
            targets += [
                {"name": f"{mode.name}, {how}", "port": port, **thresholds}
                for how, thresholds in THRESHOLDS.items()
            ]
        document = {
            "defaults": {"interval": "500ms", "timeout": "2s", "read_body": True, "kind": "sync"},
            "targets": targets,
        }
        yield stack.enter_context(sidecar(tmp_path_factory.mktemp("modes"), document))


class TestEveryMode:
    """Ends with its mocks: floods cost all that there is of a core."""

    @pytest.mark.parametrize("mode", STEADY, ids=lambda mode: mode.name)
    @pytest.mark.parametrize("how", THRESHOLDS)
    def test_state(self, all_modes: Process, mode: Mode, how: str) -> None:
        """Each fault ends in its state with the check that fills the threshold, for its reason."""
        name = f"{mode.name}, {how}"
        reasons = UNDER_200.get(mode.name, [])
        healthy = mode.reasons == ("200",)
        state = ("degraded" if reasons else "healthy") if healthy else "unhealthy"
        reaches(all_modes, name, state)
        found, change = known(all_modes, name), changes(all_modes, name)[-1]
        streak, threshold = (
            ("successes", "success_threshold") if healthy else ("failures", "failure_threshold")
        )
        status, _ = all_modes.ask(f"/readyz/{name.replace(' ', '%20')}")

        assert (found["line"], found["ready"]) == (mode.lines[0], healthy)
        assert status == (200 if healthy else 503)
        assert (change["state"], change[streak]) == (state, THRESHOLDS[how][threshold])
        assert not healthy or found["health"]["reasons"] == reasons


# --- in time -------------------------------------------------------------------------------------

SCHEDULE = """
- {at: 0s, mode: healthy}
- {at: 3s, mode: unhealthy}
- {at: 6s, mode: healthy}
- {at: 9s, mode: refuse}
- {at: 12s, mode: starting}
- {at: 15s, mode: healthy}
"""
STATES = [(0, "healthy"), (3, "unhealthy"), (6, "healthy"), (9, "unhealthy"), (12, "degraded"),
          (15, "healthy")]  # fmt: skip


def test_schedule(tmp_path: Path) -> None:
    """Each setting of thresholds changes its state neither a check too early nor one too late."""
    names = list(THRESHOLDS)
    with Mock(schedule=read_schedule(SCHEDULE)) as mock:
        began = time.time()
        document = {
            "defaults": {
                "interval": f"{INTERVAL}s",
                "timeout": "2s",
                "read_body": True,
                "kind": "sync",
                "port": mock.port,
            },
            "targets": [{"name": name, **THRESHOLDS[name]} for name in names],
        }
        with sidecar(tmp_path, document) as process:
            up = time.time() - began
            for name in names:
                wait_until(
                    lambda: (
                        [line["state"] for line in settled(process, name)]  # noqa: B023
                        == [state for _, state in STATES]
                    ),
                    within=40,
                    what=f"{name}: {[line['state'] for line in settled(process, name)]}",
                )
            found = {name: settled(process, name) for name in names}
            skipped = process.metrics().total("probe_checks_skipped_total")

    for name, thresholds in THRESHOLDS.items():
        for (at, state), line in zip(STATES, found[name], strict=True):
            # What is degraded and gets better needs no streak: it is ready all the while.
            ready = line["before"] in {"healthy", "degraded"} and state != "unhealthy"
            kind = "failure_threshold" if state == "unhealthy" else "success_threshold"
            streak = 1 if ready else thresholds[kind]
            seconds = (
                datetime.fromisoformat(line["time"]).timestamp() - began - max(at, up * (at == 0))
            )
            assert (streak - 1) * INTERVAL - 0.1 <= seconds, (name, state, line)
            assert seconds <= streak * INTERVAL + SLACK, (name, state, line)
    assert skipped == 0


def settled(process: Process, name: str) -> list[dict[str, Any]]:
    return [line for line in changes(process, name) if line["state"] != "starting"]


def test_flapping(tmp_path: Path) -> None:
    """By turns good and bad: a threshold of one flaps with it, one of two never moves."""
    with Mock(mode="flapping") as one, Mock(mode="flapping") as two:
        document = {
            "defaults": {"interval": "300ms", "timeout": "2s"},
            "targets": [
                {"name": "one", "port": one.port, "failure_threshold": 1},
                {"name": "two", "port": two.port, "failure_threshold": 2},
            ],
        }
        with sidecar(tmp_path, document) as process:
            wait_until(lambda: len(changes(process, "one")) >= 8)
            states = {
                name: [line["state"] for line in settled(process, name)] for name in ("one", "two")
            }

    assert all(
        state == ("unhealthy", "healthy")[i % 2 == 0] for i, state in enumerate(states["one"])
    )
    assert states["two"] == ["healthy"]


# --- what the status code hides ------------------------------------------------------------------


@contextlib.contextmanager
def synchronizer(
    items: Callable[[], tuple[Item, ...]], dependencies: tuple[Dependency, ...] = ()
) -> Iterator[int]:
    """Answer 200 whatever the bodies say, as the real one does."""

    def serve(connection: socket.socket) -> None:
        with connection:
            request = servers.read_request(connection)
            if b" /health/dependencies " in request:
                status = "healthy" if all(row.healthy for row in dependencies) else "down"
                body = write_dependencies(DependenciesHealth(status, dependencies))
            else:
                body = write_application(
                    ApplicationHealth(healthy=True, healthy_since=ago(3600), items=items())
                )
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            connection.sendall(head % len(body) + body)

    with servers.serving(serve) as server:
        yield server.port


def ago(seconds: float) -> int:
    return int((time.time() - seconds) * SECOND)


def items(**ages: float | None) -> Callable[[], tuple[Item, ...]]:
    """Return healthy items with these ages, as they are whenever they are asked for."""
    return lambda: tuple(
        Item(name, healthy=True, last_hit=None if age is None else ago(age))
        for name, age in ages.items()
    )


def failing(name: str) -> Callable[[], tuple[Item, ...]]:
    return lambda: (
        Item("Splits", healthy=True, last_hit=ago(1)),
        Item("Segments", healthy=True, last_hit=ago(1)),
        Item(name, healthy=False, last_hit=ago(1), error_count=5),
    )


HOUR = 3600.0
FRESH = {"Splits": 1.0, "Segments": 1.0}
DOWN = (
    Dependency("https://sdk.split.io", healthy=True),
    Dependency("https://auth.split.io", healthy=False, message="503"),
)
HIDDEN: dict[str, tuple[Callable[[], contextlib.AbstractContextManager[Any]], str, list[str]]] = {
    "never synced": (lambda: Mock(mode="starting"), "sync", ["never-synced"]),
    "one never synced": (
        lambda: synchronizer(items(Splits=1, Segments=None)), "sync", ["never-synced"]),
    "stale": (lambda: synchronizer(items(Splits=181, Segments=1)), "sync", ["stale"]),
    "proxy that lost its threshold": (
        # Its counter would not time out for an hour.
        lambda: synchronizer(items(Splits=HOUR - 60, Segments=1, LargeSegments=1)), "proxy",
        ["stale"]),
    "large segments are slower": (
        lambda: synchronizer(items(**FRESH, LargeSegments=700)), "proxy", []),
    "large segments, stale": (
        lambda: synchronizer(items(**FRESH, LargeSegments=721)), "proxy", ["stale"]),
    "storage": (lambda: synchronizer(failing("Storage")), "sync", ["storage"]),
    "dependencies": (
        lambda: synchronizer(items(**FRESH), DOWN), "sync", ["dependencies-down"]),
    "all at once": (
        lambda: synchronizer(items(Splits=None, Segments=500), DOWN), "sync",
        ["never-synced", "stale", "dependencies-down"]),
    # An hour of the synchronizer's passes in two seconds of ours.
    "backend answers 500": (
        lambda: Mock(backend="500", time_scale=1800), "sync", ["dependencies-down"]),
    "backend refuses, proxy": (
        lambda: Mock(kind="proxy", backend="refused", time_scale=1800), "proxy",
        ["dependencies-down"]),
    "nothing": (lambda: synchronizer(items(**FRESH)), "sync", []),
}  # fmt: skip


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A sidecar with two targets for each of HIDDEN: bodies read, and not."""
    with contextlib.ExitStack() as stack:
        targets = []
        for name, (make, kind, _) in HIDDEN.items():
            made = stack.enter_context(make())
            row = {"port": made if isinstance(made, int) else made.port, "kind": kind}
            targets += [
                {"name": name, "read_body": True, **row},
                {"name": f"{name}, shallow", **row},
            ]
        document = {"defaults": {"interval": "500ms", "timeout": "3s"}, "targets": targets}
        yield stack.enter_context(sidecar(tmp_path_factory.mktemp("hidden"), document))


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden(hidden: Process, name: str) -> None:
    """The status line is 200 for both; who reads the bodies calls it degraded, and says why."""
    reasons = HIDDEN[name][2]
    state = "degraded" if reasons else "healthy"
    reaches(hidden, name, state)
    reaches(hidden, f"{name}, shallow", "healthy")
    deep, shallow = known(hidden, name), known(hidden, f"{name}, shallow")
    metrics = hidden.metrics()

    assert (deep["line"], shallow["line"]) == ("healthy: 200", "healthy: 200")
    assert deep["health"]["reasons"] == reasons
    assert [note["code"] for note in deep["notes"]] == reasons
    assert deep["ready"]
    assert metrics.total("probe_state", target=name, probe_state="degraded") == bool(reasons)
    assert metrics.total("probe_success", target=name) == 1
    stale = metrics.total("synchronizer_item_stale", target=name)
    assert bool(stale) is ("stale" in reasons)


def test_redis_goes_and_comes(tmp_path: Path) -> None:
    """Storage fails: first only the bodies tell it, then the code too; and what sticks, sticks."""
    with Mock(time_scale=30) as mock:
        document = {
            "defaults": {"interval": "300ms", "timeout": "2s", "kind": "sync"},
            "targets": [
                {"name": "deep", "port": mock.port, "read_body": True, "failure_threshold": 2},
                {"name": "shallow", "port": mock.port, "failure_threshold": 2},
            ],
        }
        with sidecar(tmp_path, document) as process:
            wait_until(lambda: process.ask("/readyz")[0] == 200)
            mock.conditions(redis="refused")
            reaches(process, "deep", "degraded")
            assert known(process, "deep")["health"]["reasons"] == ["storage"]
            assert known(process, "shallow")["state"] == "healthy"
            reaches(process, "shallow", "unhealthy")
            reaches(process, "deep", "unhealthy")
            assert "sticky-500" in known(process, "deep")["health"]["reasons"]
            mock.conditions(redis="ok")
            time.sleep(1)
            assert known(process, "deep")["state"] == "unhealthy"
            mock.set("healthy")
            wait_until(lambda: process.ask("/readyz")[0] == 200)
            assert known(process, "deep")["state"] == "healthy"


def test_data_grow_old_and_fresh(tmp_path: Path) -> None:
    """By a max_age of one's own; freshness returns with the next attempt."""
    with contextlib.ExitStack() as stack:
        last = time.time()
        port = stack.enter_context(
            synchronizer(lambda: (Item("Splits", healthy=True, last_hit=int(last * SECOND)),))
        )
        target = {"name": "one", "port": port, "kind": "sync", "read_body": True, "max_age": "3s"}
        document = {"defaults": {"interval": "300ms", "timeout": "2s"}, "targets": [target]}
        process = stack.enter_context(sidecar(tmp_path, document))
        reaches(process, "one", "degraded")
        assert time.time() - last >= 3
        last = time.time() + 2
        reaches(process, "one", "healthy")
        codes = {line["state"]: line.get("degraded") for line in changes(process, "one")}

    assert codes["degraded"] == "stale"
