"""The model of the synchronizer: figures in the tables are those seen on the real programs."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.mock import model as models
from probe.mock.model import Conditions
from probe.mock.model import Model
from probe.mock.model import Settings
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import Item

SYNC = Settings("sync", split_refresh=2, segment_refresh=2)
PROXY = Settings("proxy", split_refresh=2, segment_refresh=2, large_segment_refresh=2)
ENDLESS = 0.0
ENDLESS_SYNC = replace(SYNC, http_timeout=ENDLESS)
ENDLESS_PROXY = replace(PROXY, http_timeout=ENDLESS)
BEGIN = 1_795_489_600.0
FAULT = BEGIN + 900.5


def faulty(settings: Settings, **conditions: str) -> Model:
    return models.with_conditions(models.start(settings, BEGIN), FAULT, **conditions)


def item(health: ApplicationHealth, name: str) -> Item:
    return next(item for item in health.items if item.name == name)


def becomes_unhealthy(model: Model, horizon: float = 2 * 3600) -> float | None:
    """Return the seconds from the fault to the first 500, to a tenth."""
    if models.healthy(model, FAULT + horizon):
        return None
    low, high = 0.0, horizon
    while high - low > 0.1:
        middle = (low + high) / 2
        low, high = (middle, high) if models.healthy(model, FAULT + middle) else (low, middle)
    return high


@pytest.mark.parametrize("settings", [SYNC, PROXY], ids=["sync", "proxy"])
@pytest.mark.parametrize(
    ("http_timeout", "conditions"),
    [(30, {"backend": "500"}), (30, {"backend": "refused"}), (30, {"backend": "hang"})],
    ids=["500", "refused", "hang"],
)
def test_what_keeps_200(
    settings: Settings, http_timeout: float, conditions: dict[str, str]
) -> None:
    """The counters count attempts, whatever comes of them."""
    settings = replace(settings, http_timeout=http_timeout)
    assert becomes_unhealthy(faulty(settings, **conditions), 30 * 86400) is None


@pytest.mark.parametrize(
    ("settings", "conditions", "least", "most"),
    [
        pytest.param(ENDLESS_SYNC, {"backend": "hang"}, 122, 126, id="sync"),
        pytest.param(ENDLESS_PROXY, {"backend": "hang"}, 122, 126, id="proxy"),
        pytest.param(
            replace(ENDLESS_PROXY, loses_threshold=True),
            {"backend": "hang"}, 3600, 3604, id="lost threshold",
        ),
        pytest.param(
            Settings("sync", http_timeout=ENDLESS), {"backend": "hang"}, 180, 242, id="default rate"
        ),
        pytest.param(SYNC, {"redis": "refused"}, 122, 126, id="redis refused"),
        pytest.param(SYNC, {"redis": "hang"}, 122, 128, id="redis hang"),
        pytest.param(
            replace(SYNC, http_timeout=150), {"backend": "hang"}, 122, 126, id="timeout too long"
        ),
    ],
)  # fmt: skip
def test_when_it_becomes_500(
    settings: Settings, conditions: dict[str, str], least: float, most: float
) -> None:
    seconds = becomes_unhealthy(faulty(settings, **conditions))
    assert seconds is not None
    assert least <= seconds <= most


def test_redis_does_nothing_to_the_proxy() -> None:
    assert becomes_unhealthy(faulty(PROXY, redis="refused"), 30 * 86400) is None


def test_500_is_sticky() -> None:
    """Repair brings the loops back, not the counter; only Splits had stopped."""
    model = faulty(ENDLESS_SYNC, backend="hang")
    repaired = models.with_conditions(model, FAULT + 300, backend="ok")
    health = models.health(repaired, FAULT + 86400)
    assert not health.healthy
    assert health.healthy_since is None
    assert [entry.healthy for entry in health.items] == [False, True, True]
    assert (
        item(health, "Splits").last_hit == item(models.health(model, FAULT + 9), "Splits").last_hit
    )


def test_repair_in_time() -> None:
    model = faulty(ENDLESS_SYNC, backend="hang")
    repaired = models.with_conditions(model, FAULT + 100, backend="ok")
    assert models.health(repaired, FAULT + 86400).healthy


@pytest.mark.parametrize(
    ("redis", "least", "most"), [("refused", 40, 50), ("hang", 90, 100)], ids=["refused", "hang"]
)
def test_storage_fails_with_its_fifth_error(redis: str, least: int, most: int) -> None:
    model = faulty(SYNC, redis=redis)
    assert item(models.health(model, FAULT + least), "Storage").healthy
    failed = models.health(model, FAULT + most)
    assert item(failed, "Storage") == replace(
        item(failed, "Storage"), healthy=False, error_count=models.STORAGE_ERRORS
    )
    assert failed.healthy


def test_storage_forgets_hourly() -> None:
    model = faulty(SYNC, redis="refused")
    repaired = models.with_conditions(model, FAULT + 60, redis="ok")
    for seconds, healthy, errors in [(61, False, 6), (2600, False, 6), (2710, True, 0)]:
        storage = item(models.health(repaired, FAULT + seconds), "Storage")
        assert (storage.healthy, storage.error_count) == (healthy, errors), seconds


def test_storage_forgets_and_fails_again() -> None:
    model = faulty(SYNC, redis="refused")
    counts = [
        item(models.health(model, BEGIN + seconds), "Storage").error_count
        for seconds in (3600, 3605, 3611, 3651)
    ]
    assert counts == [269, 0, 1, 5]


@pytest.mark.parametrize(
    ("settings", "conditions", "opens", "exits", "code"),
    [
        (SYNC, Conditions(), 0.07, None, None),
        (PROXY, Conditions(), 0.32, None, None),
        (replace(SYNC, latency=6), Conditions(), 12.1, None, None),
        (replace(PROXY, latency=6), Conditions(), 12.3, None, None),
        (SYNC, Conditions(backend="500"), None, 0.5, 1),
        (SYNC, Conditions(backend="refused"), None, 0.5, 1),
        (SYNC, Conditions(backend="hang"), None, 30.1, 1),
        (SYNC, Conditions(redis="refused"), None, 0.5, 3),
        (SYNC, Conditions(redis="hang"), None, 10.5, 3),
        (PROXY, Conditions(backend="500"), None, 0.5, 5),
        (PROXY, Conditions(backend="refused"), None, 0.5, 5),
        (PROXY, Conditions(redis="refused"), 0.32, None, None),
        (replace(SYNC, http_timeout=ENDLESS), Conditions(backend="hang"), None, None, None),
        (replace(PROXY, snapshot=True), Conditions(backend="refused"), 0.16, None, None),
        (replace(PROXY, snapshot=True), Conditions(backend="hang"), 30.1, None, None),
    ],
)
def test_start(
    settings: Settings,
    conditions: Conditions,
    opens: float | None,
    exits: float | None,
    code: int | None,
) -> None:
    model = models.start(settings, BEGIN, conditions)
    assert not models.port_open(model, BEGIN)
    assert models.exited(model, BEGIN) is None
    if opens:
        assert not models.port_open(model, BEGIN + opens - 0.15)
    assert models.port_open(model, BEGIN + (opens or 86400)) == (opens is not None)
    assert models.exited(model, BEGIN + (exits or 86400)) == code


def test_backend_fails_between_key_check_and_first_sync() -> None:
    """Upstream's SyncAll fails: the port was open already."""
    model = models.with_conditions(models.start(SYNC, BEGIN), BEGIN + 0.1, backend="500")
    assert models.port_open(model, BEGIN + 0.1)
    assert models.exited(model, BEGIN + 1) == 5
    assert not models.port_open(model, BEGIN + 1)


def test_snapshot_without_backend_never_hits() -> None:
    """Counters are not started: healthy for ever, until the backend is there."""
    settings = replace(PROXY, snapshot=True)
    model = models.start(settings, BEGIN, Conditions(backend="refused"))
    late = models.health(model, BEGIN + 86400)
    assert late.healthy
    assert {entry.last_hit for entry in late.items} == {None}
    repaired = models.with_conditions(model, BEGIN + 100, backend="ok")
    assert models.port_open(repaired, BEGIN + 100)
    assert None not in {entry.last_hit for entry in models.health(repaired, BEGIN + 110).items}


@pytest.mark.parametrize("kind", models.KINDS)
@pytest.mark.parametrize("refresh", [2.0, 60.0, 5000.0])
def test_settled_has_hits(kind: str, refresh: float) -> None:
    settings = replace(SYNC, kind=kind, split_refresh=refresh, segment_refresh=refresh)
    model = models.settled(settings, BEGIN)
    health = models.health(model, BEGIN)
    assert models.port_open(model, BEGIN)
    assert health.healthy
    assert all(entry.last_hit is not None for entry in health.items)
    assert all(entry.last_hit <= models.unix(BEGIN) for entry in health.items if entry.last_hit)
    assert models.healthy(model, BEGIN + 86400)


@pytest.mark.parametrize("settings", [SYNC, PROXY, replace(PROXY, loses_threshold=True)])
def test_unhealthy(settings: Settings) -> None:
    model = models.unhealthy(settings, BEGIN)
    for now in (BEGIN, BEGIN + 86400):
        health = models.health(model, now)
        assert not health.healthy
        assert [entry.name for entry in health.items if not entry.healthy] == ["Splits"]
        assert None not in {entry.last_hit for entry in health.items}
    assert models.port_open(model, BEGIN)


def test_starting() -> None:
    sync, proxy = (models.starting(Settings(kind), BEGIN) for kind in models.KINDS)
    for now in (BEGIN, BEGIN + 3000):
        assert models.port_open(sync, now)
        assert not models.port_open(proxy, now)
        assert {entry.last_hit for entry in models.health(sync, now).items} == {None}
        assert models.healthy(sync, now)
    assert models.with_conditions(proxy, BEGIN, backend="ok", redis="ok") == proxy


def test_streaming_waits_for_the_token() -> None:
    model = models.settled(replace(SYNC, streaming=True, http_timeout=ENDLESS), FAULT)
    model = models.with_conditions(model, FAULT, backend="hang")
    seconds = becomes_unhealthy(model)
    assert seconds is not None
    assert 3900 <= seconds <= 6900


@pytest.mark.parametrize(
    ("conditions", "timeout", "open_at", "closed_at", "code"),
    [
        ({}, 30, None, 0.04, 0),
        ({"backend": "500"}, 30, None, 0.04, 0),
        ({"backend": "hang"}, 30, 28, 30.1, 0),
        ({"backend": "hang"}, ENDLESS, 86400, None, None),
    ],
)
def test_stop(
    conditions: dict[str, str],
    timeout: float,
    open_at: float | None,
    closed_at: float | None,
    code: int | None,
) -> None:
    model = models.stop(faulty(replace(SYNC, http_timeout=timeout), **conditions), FAULT + 5)
    began = FAULT + 5
    if open_at:
        assert models.port_open(model, began + open_at)
        assert models.exited(model, began + open_at) is None
    if closed_at:
        assert not models.port_open(model, began + closed_at)
    assert models.exited(model, began + (closed_at or 86400)) == code
    assert models.stop(model, began + 1) == model


def test_stop_ends_with_the_repair() -> None:
    stopping = models.stop(faulty(SYNC, backend="hang"), FAULT + 5)
    model = models.with_conditions(stopping, FAULT + 10, backend="ok")
    assert models.port_open(model, FAULT + 10)
    assert models.exited(model, FAULT + 11) == 0


def test_stop_before_the_first_sync() -> None:
    model = models.stop(models.starting(SYNC, BEGIN), BEGIN + 1)
    assert models.exited(model, BEGIN + 1) == models.KILLED


def test_dependencies_are_looked_at_hourly() -> None:
    model = models.start(SYNC, BEGIN, Conditions())
    model = models.with_conditions(model, BEGIN + 60, backend="500")
    told = models.dependencies(model, BEGIN + 3599)
    assert told.service_status == "healthy"
    assert {(row.healthy, row.message, row.last_hit) for row in told.dependencies} == {
        (True, "", None)
    }
    told = models.dependencies(model, BEGIN + 3601)
    assert told.service_status == "down"
    assert [row.service for row in told.dependencies] == list(SYNC.services.urls)
    assert {(row.healthy, row.message, row.healthy_since) for row in told.dependencies} == {
        (False, "500 Internal Server Error", None)
    }


def test_seventy_percent_of_the_last_ten_looks() -> None:
    """Three bad looks of ten leave it healthy, the message stays; a fourth makes it down."""
    model = models.start(SYNC, BEGIN)
    model = models.with_conditions(model, BEGIN + 10.5 * 3600, backend="refused")
    for hour, status in [(10, "healthy"), (11, "healthy"), (13, "healthy"), (14, "down")]:
        assert models.dependencies(model, BEGIN + hour * 3600 + 1).service_status == status
    warned = models.dependencies(model, BEGIN + 11 * 3600 + 1).dependencies[2]
    assert warned.message == (
        'Get "http://127.0.0.1:9000/api/version": '
        "dial tcp 127.0.0.1:9000: connect: connection refused"
    )
    model = models.with_conditions(model, BEGIN + 14.5 * 3600, backend="ok")
    recovered = [
        models.dependencies(model, BEGIN + hour * 3600 + 1).service_status for hour in (20, 21)
    ]
    assert recovered == ["down", "healthy"]
    row = models.dependencies(model, BEGIN + 30 * 3600).dependencies[0]
    assert (row.message, row.healthy_since) == ("", models.unix(BEGIN + 21 * 3600))


def test_a_look_that_hangs_freezes() -> None:
    model = faulty(SYNC, backend="hang")
    assert models.dependencies(model, FAULT + 86400).dependencies[0].last_hit is None
    model = models.with_conditions(model, FAULT + 86400, backend="500")
    assert models.dependencies(model, FAULT + 86400).service_status == "down"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Settings("other"),
        lambda: Settings(split_refresh=0),
        lambda: Conditions(backend="slow"),
        lambda: models.with_conditions(models.start(SYNC, 0), 1, redis="500"),
    ],
)
def test_wrong_values(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"is none of|must be above 0"):
        wrong()


CHANGES = st.lists(
    st.tuples(
        st.floats(0, 9000),
        st.sampled_from(models.BACKENDS),
        st.sampled_from(models.REDISES),
    ),
    max_size=5,
)


@given(
    kind=st.sampled_from(models.KINDS),
    changes=CHANGES,
    looks=st.lists(st.floats(0, 40_000), max_size=6),
    timeout=st.sampled_from([0.0, 30.0, 200.0]),
)
def test_any_course(
    kind: str, changes: list[tuple[float, str, str]], looks: list[float], timeout: float
) -> None:
    """500 never goes away, hits never go back; to ask changes nothing."""
    settings = replace(PROXY if kind == "proxy" else SYNC, http_timeout=timeout)
    model = models.settled(settings, BEGIN)
    for seconds, backend, redis in sorted(changes):
        model = models.with_conditions(model, BEGIN + seconds, backend=backend, redis=redis)
    last = BEGIN + max((change[0] for change in changes), default=0.0)
    answers = [models.health(model, last + look) for look in sorted(looks)]
    for before, after in itertools.pairwise(answers):
        assert before.healthy or not after.healthy
        for old, new in zip(before.items, after.items, strict=True):
            assert (old.last_hit or 0) <= (new.last_hit or 0)


@given(st.lists(st.floats(0, 40_000), min_size=1, max_size=5))
def test_time_in_steps_is_time_at_once(steps: list[float]) -> None:
    """A change to the same conditions and back, at once, is no change."""
    model = stepped = faulty(SYNC, redis="refused")
    for step in sorted(steps):
        stepped = models.with_conditions(stepped, FAULT + step, backend="500")
        stepped = models.with_conditions(stepped, FAULT + step, backend="ok")
    end = FAULT + 50_000
    ours, whole = models.health(stepped, end), models.health(model, end)
    assert [(entry.name, entry.healthy) for entry in ours.items] == [
        (entry.name, entry.healthy) for entry in whole.items
    ]
