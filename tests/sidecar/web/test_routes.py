"""The endpoints: who answers what on which listener, and what they leave to nobody."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from probe.mock.server import Mock
from probe.sidecar.web import maintenance
from probe.sidecar.web.maintenance import MaintenanceError
from probe.sidecar.web.maintenance import read_until
from probe.sidecar.web.probing import allowed_seconds
from tests.sidecar.records import NOW
from tests.sidecar.running import Client
from tests.sidecar.running import put
from tests.sidecar.running import running
from tests.sidecar.running import text_of
from tests.support import servers

pytestmark = pytest.mark.asyncio


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock() as started:
        yield started


@pytest.fixture
def config(tmp_path: Path, mock: Mock) -> Path:
    """Two targets: `good` is the mock, read in full; nothing listens where `dead` is."""
    with servers.refusing() as dead:
        path = tmp_path / "sidecar.yml"
        write(path, mock.port, dead)
        return path


def write(path: Path, good: int, dead: int, **more: str) -> None:
    rows = [
        {
            "name": "good",
            "port": good,
            "kind": "sync",
            "timeout": "0.5s",
            "read_body": True,
            "labels": {"team": "a"},
        },
        {"name": "dead", "port": dead, "failure_threshold": 2},
    ]
    document = {"defaults": {"interval": "100ms"}, "targets": rows, "grace": "1s", **more}
    path.write_text(json.dumps(document))


def change(path: Path, **keys: object) -> None:
    """Give the configuration other values for some of its keys."""
    put(path, json.dumps({**json.loads(text_of(path)), **keys}))


@pytest_asyncio.fixture
async def client(config: Path) -> AsyncIterator[Client]:
    async with running(config) as started:
        await started.until("/metrics", lambda answer: 'probe_consecutive_failures{target="dead"} 2'
                            in answer.text)  # fmt: skip
        yield started


def samples(text: str) -> dict[str, float]:
    return {
        f"{sample.name}{json.dumps(sample.labels, sort_keys=True)}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# --- which listener has what ---------------------------------------------------------------------

EVERYWHERE = ["/livez", "/readyz", "/readyz/good", "/metrics"]
FIRST_ONLY = [
    ("GET", "/"),
    ("GET", "/probe?target=good"),
    ("GET", "/api/v1/targets"),
    ("POST", "/-/reload"),
    ("POST", "/-/maintenance/good?duration=1m"),
    ("DELETE", "/-/maintenance/good"),
]


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_both_listeners_answer(client: Client, path: str) -> None:
    first = await client.ask(path)
    second = await client.ask(path, base=client.second)
    assert first.status == second.status == (503 if path == "/readyz" else 200)


@pytest.mark.parametrize(("method", "path"), FIRST_ONLY)
async def test_only_the_first_listener_answers(client: Client, method: str, path: str) -> None:
    assert (await client.ask(path, method)).status == 200
    assert (await client.ask(path, method, base=client.second)).status == 404


@pytest.mark.parametrize("path", [*EVERYWHERE, "/", "/api/v1/targets"])
async def test_head_is_answered_without_a_body(client: Client, path: str) -> None:
    answer = await client.ask(path, "HEAD")
    assert (answer.status, answer.text) == (503 if path == "/readyz" else 200, "")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/-/reload", 405, id="reload by a link"),
        pytest.param("GET", "/-/maintenance/good", 405, id="maintenance by a link"),
        pytest.param("POST", "/metrics", 405, id="posted metrics"),
        pytest.param("GET", "/nowhere", 404, id="unknown path"),
        pytest.param("GET", "/readyz/nobody", 404, id="unknown target"),
        pytest.param("POST", "/-/maintenance/nobody?duration=1m", 404, id="of nobody"),
    ],
)
async def test_refused(client: Client, method: str, path: str, status: int) -> None:
    answer = await client.ask(path, method)
    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("path", [*EVERYWHERE, "/", "/nowhere", "/api/v1/targets"])
async def test_headers_of_every_answer(client: Client, path: str) -> None:
    headers = (await client.ask(path)).headers
    assert headers["Server"] == "probe"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in headers["Content-Security-Policy"]


# --- readiness -----------------------------------------------------------------------------------


async def test_readyz_names_who_is_not(client: Client) -> None:
    assert (await client.ask("/readyz")).text == "dead: unhealthy\n"
    assert (await client.ask("/readyz/good")).text == "ok\n"
    assert (await client.ask("/readyz/dead")).status == 503


async def test_an_old_verdict_is_not_ready(client: Client) -> None:
    """A target that was healthy and is no longer checked is not ready, whatever its state."""
    client.sidecar.service.clock = lambda: time.monotonic() + 60
    answer = await client.ask("/readyz/good")
    assert (answer.status, answer.text) == (503, "good: healthy, last check too old\n")


async def test_livez_is_of_the_loop_alone(client: Client) -> None:
    assert (await client.ask("/livez")).status == 200
    client.sidecar.scheduler.stop()
    client.sidecar.scheduler.turned -= 60
    client.sidecar.scheduler.alive = lambda: False  # type: ignore[method-assign]
    assert (await client.ask("/livez")).status == 503


async def test_unchecked_is_not_ready() -> None:
    """Before the first verdict a target is unknown, and unknown is not ready."""
    with servers.mute() as mute:
        async with running(None, f"127.0.0.1:{mute.port}", interval=30.0) as client:
            answer = await client.ask("/readyz")
            assert (answer.status, answer.text) == (503, f"127.0.0.1:{mute.port}: unknown\n")


async def test_state_follows_the_target(client: Client, mock: Mock) -> None:
    await asyncio.to_thread(mock.set, "hang")
    await client.until("/readyz/good", lambda answer: answer.status == 503)
    await asyncio.to_thread(mock.set, "healthy")
    await client.until("/readyz/good", lambda answer: answer.status == 200)
    assert client.hears("state", target="good", state="unhealthy", reason="timeout")


async def test_bodies_are_told(client: Client) -> None:
    (target,) = (await client.ask("/api/v1/targets?name=good")).json["targets"]
    assert {row["item"] for row in target["health"]["items"]} >= {"Splits", "Segments", "Storage"}
    assert target["health"]["dependencies"]


# --- /api/v1/targets -----------------------------------------------------------------------------


async def test_targets(client: Client) -> None:
    document = (await client.ask("/api/v1/targets")).json
    assert document["schema"] == 1
    good, dead = document["targets"]
    assert (good["name"], good["labels"], good["verdict"]) == ("good", {"team": "a"}, "healthy")
    assert (dead["state"], dead["ready"], dead["reason"]) == ("unhealthy", False, "refused")
    assert dead["notes"][0]["code"] == "refused"
    assert dead["history"][0].keys() == {"started", "seconds", "verdict", "reason", "status"}
    assert len(dead["history"]) == len(dead["failures"]) >= 2


# --- /probe --------------------------------------------------------------------------------------


async def test_probe_of_a_configured_target(client: Client) -> None:
    found = samples((await client.ask("/probe?target=good")).text)
    assert found["probe_success{}"] == 1
    assert found["probe_http_status_code{}"] == 200
    assert found['probe_verdict_info{"reason": "200", "verdict": "healthy"}'] == 1
    assert found['synchronizer_item_healthy{"item": "Splits"}'] == 1


async def test_probe_leaves_no_trace(client: Client) -> None:
    before = (await client.ask("/api/v1/targets?name=dead")).json["targets"][0]
    client.sidecar.scheduler.stop()
    await asyncio.sleep(0.1)
    counts = dict(client.sidecar.store.records["dead"].counts)
    answer = await client.ask("/probe?target=dead")
    assert samples(answer.text)["probe_success{}"] == 0
    assert client.sidecar.store.records["dead"].counts == counts
    assert before["name"] == "dead"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param("", 400, id="no target"),
        pytest.param("?target=good&target=dead", 400, id="two targets"),
        pytest.param("?target=good&module=http_2xx", 400, id="a module"),
        pytest.param("?target=127.0.0.1:80", 403, id="loopback, not listed"),
        pytest.param("?target=169.254.169.254", 403, id="metadata"),
        pytest.param("?target=localhost", 403, id="a name"),
        pytest.param("?target=2130706433", 403, id="decimal"),
        pytest.param("?target=good%00", 403, id="a name with a NUL"),
    ],
)
async def test_probe_refuses(client: Client, query: str, status: int) -> None:
    assert (await client.ask(f"/probe{query}")).status == status
    assert sum(client.sidecar.service.prober.counts.values()) == 1


async def test_refused_without_a_connection(config: Path) -> None:
    """What is not allowed is not dialled: the server that listens there hears nothing."""
    with servers.mute() as server:
        async with running(config) as client:
            forms = (f"127.0.0.1:{server.port}", f"[::ffff:127.0.0.1]:{server.port}",
                     f"localhost:{server.port}", f"2130706433:{server.port}",
                     f"0x7f.1:{server.port}", f"u@127.0.0.1:{server.port}")  # fmt: skip
            for form in forms:
                answer = await client.ask("/probe", params={"target": form})
                assert answer.status == 403
        assert not server.accepted.is_set()


async def test_probe_of_a_listed_network(config: Path, mock: Mock) -> None:
    change(config, probe={"allow": ["127.0.0.0/8"]})
    async with running(config) as client:
        answer = await client.ask(f"/probe?target=127.0.0.1:{mock.port}")
        assert samples(answer.text)["probe_success{}"] == 1
        assert (await client.ask("/probe?target=10.0.0.1")).status == 403


async def test_probe_keeps_the_scrape_timeout() -> None:
    """The answer is there before Prometheus gives up, though the target's own timeout is longer."""
    with servers.mute() as mute:
        async with running(None, f"127.0.0.1:{mute.port}", interval=30.0) as client:
            began = time.monotonic()
            answer = await client.ask(
                f"/probe?target=127.0.0.1:{mute.port}",
                headers={"X-Prometheus-Scrape-Timeout-Seconds": "1"},
            )
            assert time.monotonic() - began < 1
            found = samples(answer.text)
            assert found['probe_verdict_info{"reason": "timeout", "verdict": "unhealthy"}'] == 1


async def test_probes_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.sidecar.web.probing.MOST", 3)
    with servers.mute() as mute:
        async with running(None, f"127.0.0.1:{mute.port}", interval=30.0) as client:
            path = f"/probe?target=127.0.0.1:{mute.port}"
            headers = {"X-Prometheus-Scrape-Timeout-Seconds": "1"}
            answers = await asyncio.gather(*(client.ask(path, headers=headers) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [503] * 5


@pytest.mark.parametrize("header", ["", "x", "0", "-1", "nan", "inf", "1e999"])
async def test_bad_scrape_timeout(client: Client, header: str) -> None:
    answer = await client.ask(
        "/probe?target=good", headers={"X-Prometheus-Scrape-Timeout-Seconds": header}
    )
    assert answer.status == 400


@pytest.mark.parametrize(("header", "seconds"), [("10", 9.5), ("1", 0.5), ("0.4", 0.2)])
async def test_allowed_seconds(header: str, seconds: float) -> None:
    assert allowed_seconds(header) == seconds


# --- maintenance ---------------------------------------------------------------------------------


async def test_maintenance_holds_what_was_ready(client: Client, mock: Mock) -> None:
    answer = await client.ask("/-/maintenance/good", "POST", data={"duration": "10m"})
    assert answer.status == 200
    assert answer.json["name"] == "good"
    await asyncio.to_thread(mock.set, "refuse")
    await client.until(
        "/api/v1/targets?name=good",
        lambda answer: answer.json["targets"][0]["consecutive_failures"] > 5,
    )
    assert (await client.ask("/readyz/good")).status == 200
    found = samples((await client.ask("/metrics")).text)
    assert found['probe_maintenance{"target": "good", "team": "a"}'] == 1
    assert "in maintenance until" in (await client.ask("/")).text
    await client.ask("/-/maintenance/good", "DELETE")
    await client.until("/readyz/good", lambda answer: answer.status == 503)


UNTIL = [
    pytest.param({"duration": "30m"}, NOW + 1800, id="duration"),
    pytest.param({"duration": "90"}, NOW + 90, id="bare seconds"),
    pytest.param({"until": "1800000060"}, NOW + 60, id="unix"),
    pytest.param({"until": "2027-01-15T08:01:00Z"}, NOW + 60, id="rfc 3339"),
    pytest.param({"until": "2027-01-15T10:01:00+02:00"}, NOW + 60, id="with an offset"),
]
NO_UNTIL = [
    pytest.param({}, id="nothing"),
    pytest.param({"duration": "1m", "until": "1800000060"}, id="both"),
    pytest.param({"minutes": "1"}, id="another word"),
    pytest.param({"duration": "soon"}, id="no duration"),
    pytest.param({"duration": "0"}, id="over at once"),
    pytest.param({"duration": "8d"}, id="another unit"),
    pytest.param({"duration": str(maintenance.LONGEST + 1)}, id="too long"),
    pytest.param({"until": "1700000000"}, id="past"),
    pytest.param({"until": "tomorrow"}, id="no time"),
    pytest.param({"until": "nan"}, id="not a number"),
]


@pytest.mark.parametrize(("given", "until"), UNTIL)
async def test_until(given: dict[str, str], until: float) -> None:
    assert read_until(given, NOW) == until


@pytest.mark.parametrize("given", NO_UNTIL)
async def test_no_until(given: dict[str, str]) -> None:
    with pytest.raises(MaintenanceError):
        read_until(given, NOW)


# --- reload --------------------------------------------------------------------------------------


async def test_reload_takes_the_new_file(client: Client, config: Path) -> None:
    kept = client.sidecar.store.records["good"]
    good, dead = json.loads(text_of(config))["targets"]
    change(config, targets=[good, {**dead, "name": "other"}])
    assert (await client.ask("/-/reload", "POST")).status == 200
    assert list(client.sidecar.store.records) == ["good", "other"]
    assert client.sidecar.store.records["good"] is kept


async def test_a_bad_file_is_refused(client: Client, config: Path) -> None:
    """Every fault is told, what ran before runs on, and a gauge says so until it is mended."""
    good = text_of(config)
    put(config, "targets:\n  - {name: a, port: 0}\n  - {name: a, prot: 1}\n")
    answer = await client.ask("/-/reload", "POST")
    assert answer.status == 500
    assert f"{config}:2:21: targets[0].port: '0' is not a valid port" in answer.text
    assert "targets[1].prot: unknown key" in answer.text
    found = samples((await client.ask("/metrics")).text)
    assert found["probe_sidecar_config_last_reload_successful{}"] == 0
    assert found['probe_sidecar_reloads_total{"result": "refused"}'] == 1
    assert list(client.sidecar.store.records) == ["good", "dead"]
    put(config, good)
    assert (await client.ask("/-/reload", "POST")).status == 200
    found = samples((await client.ask("/metrics")).text)
    assert found["probe_sidecar_config_last_reload_successful{}"] == 1


async def test_a_storm_of_reloads_is_two(client: Client) -> None:
    answers = await asyncio.gather(*(client.ask("/-/reload", "POST") for _ in range(60)))
    assert {answer.status for answer in answers} == {200}
    found = samples((await client.ask("/metrics")).text)
    assert found['probe_sidecar_reloads_total{"result": "accepted"}'] <= 6


async def test_discovery_is_watched(
    tmp_path: Path, mock: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.sidecar.app.WATCHED_EVERY", 0.05)
    config, found = tmp_path / "sidecar.yml", tmp_path / "found.json"
    put(config, "file_sd_configs: [{files: ['found*.json']}]")
    async with running(config) as client:
        assert client.sidecar.store.records == {}
        document = [{"targets": [f"127.0.0.1:{mock.port}"], "labels": {"name": "found"}}]
        put(found, json.dumps(document))
        await client.until("/readyz/found", lambda answer: answer.status == 200)
        put(found, "[{")
        await client.until("/metrics", lambda answer: "reload_successful 0" in answer.text)
        assert (await client.ask("/readyz/found")).status == 200
        found.unlink()
        await client.until("/readyz/found", lambda answer: answer.status == 404)


# --- other sites' pages --------------------------------------------------------------------------

FOREIGN = [
    pytest.param({"Origin": "https://evil.example"}, id="origin"),
    pytest.param({"Origin": "null"}, id="no origin of its own"),
    pytest.param({"Origin": "http://evil.example:9310", "Host": "evil.example:9310"},
                 id="a name that was made to point here"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="cross-site"),
    pytest.param({"Sec-Fetch-Site": "same-site"}, id="another port"),
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN)
async def test_other_sites_cannot_act(client: Client, headers: dict[str, str]) -> None:
    """A page elsewhere can make a browser post to loopback; it changes nothing here."""
    for path in ("/-/reload", "/-/maintenance/good?duration=1m"):
        assert (await client.ask(path, "POST", headers=headers)).status == 403
    found = samples((await client.ask("/metrics")).text)
    assert found['probe_sidecar_reloads_total{"result": "accepted"}'] == 0


async def test_own_page_may_act(client: Client) -> None:
    headers = {"Origin": client.main, "Sec-Fetch-Site": "same-origin"}
    assert (await client.ask("/-/reload", "POST", headers=headers)).status == 200


async def test_a_fault_of_ours_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that fails says 500 and no more; the line says what it was."""

    def fail(*_: object) -> str:
        raise LookupError("within")

    monkeypatch.setattr("probe.sidecar.web.page.render", fail)
    answer = await client.ask("/")
    assert (answer.status, answer.text) == (500, "internal error\n")
    assert client.hears("internal", error="LookupError: within")


# --- the end -------------------------------------------------------------------------------------


async def test_graceful_order(client: Client) -> None:
    """First /readyz fails while all else answers; then nobody gets in; then it is over."""
    began = time.monotonic()
    client.sidecar.stop()
    await asyncio.sleep(0.05)
    assert (await client.ask("/readyz")).text == "stopping\n"
    assert (await client.ask("/readyz/good")).status == 503
    assert (await client.ask("/livez")).status == 200
    assert (await client.ask("/metrics")).status == 200
    await asyncio.wait_for(client.ended, 3)
    assert time.monotonic() - began < 1.5
    assert client.ended.exception() is None


async def test_the_end_waits_for_who_is_being_answered(tmp_path: Path) -> None:
    with servers.mute() as mute:
        config = tmp_path / "sidecar.yml"
        row = {"name": "mute", "port": mute.port, "timeout": "0.6s", "interval": "30s"}
        put(config, json.dumps({"targets": [row], "grace": "3s"}))
        async with running(config) as client:
            probing = asyncio.create_task(client.ask("/probe?target=mute"))
            await asyncio.sleep(0.1)
            client.sidecar.stop()
            assert (await probing).status == 200
            await asyncio.wait_for(client.ended, 4)


async def test_the_end_waits_no_longer_than_the_grace(tmp_path: Path) -> None:
    with servers.mute() as mute:
        config = tmp_path / "sidecar.yml"
        row = {"name": "mute", "port": mute.port, "timeout": "20s", "interval": "30s"}
        put(config, json.dumps({"targets": [row], "grace": "1s"}))
        async with running(config) as client:
            probing = asyncio.create_task(client.ask("/probe?target=mute"))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            client.sidecar.stop()
            await asyncio.wait_for(client.ended, 4)
            assert time.monotonic() - began < 1.5
            with pytest.raises(aiohttp.ClientError):
                await probing


async def test_address_in_use(client: Client) -> None:
    """Nothing is left listening where the second address cannot be had."""
    with pytest.raises(OSError, match="in use"):
        async with running(None, listen="127.0.0.1:0", metrics_listen=client.sidecar.addresses[0]):
            pass
