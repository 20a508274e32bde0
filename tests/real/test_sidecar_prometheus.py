"""The real Prometheus scrapes the sidecar: its own metrics, and many targets by /probe."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from probe.mock.server import Mock
from tests.sidecar.running import PATIENCE
from tests.sidecar.running import Client
from tests.sidecar.running import put
from tests.sidecar.running import running
from tests.support import servers
from tests.support.components import require

pytestmark = [pytest.mark.asyncio, pytest.mark.real]

# As the multi-target pattern has it: https://prometheus.io/docs/guides/multi-target-exporter/
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
  - job_name: sidecar
    static_configs: [{{targets: ["{second}"]}}]
  - job_name: probe
    metrics_path: /probe
    file_sd_configs: [{{files: ["{found}"], refresh_interval: 1s}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "{main}"}}
"""


@contextlib.asynccontextmanager
async def prometheus(folder: Path, config: str) -> AsyncIterator[str]:
    """Run Prometheus with *config*; yields its address."""
    put(folder / "prometheus.yml", config)
    address = f"127.0.0.1:{servers.free_port()}"
    check = [require("promtool"), "check", "config", str(folder / "prometheus.yml")]
    await asyncio.to_thread(subprocess.run, check, check=True, capture_output=True, timeout=30)
    process = await asyncio.create_subprocess_exec(
        require("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE)


async def value(client: Client, base: str, query: str) -> float | None:
    """Return what Prometheus knows; None while it is not there, or starts."""
    with contextlib.suppress(OSError):
        answer = await client.ask("/api/v1/query", base=base, params={"query": query})
        if answer.status == 200 and (rows := answer.json["data"]["result"]):
            return float(rows[0]["value"][1])
    return None


async def comes(client: Client, base: str, query: str, expected: float) -> Any:
    found = None
    async with asyncio.timeout(30):
        while (found := await value(client, base, query)) != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return found


async def test_both_ways_of_scraping(tmp_path: Path) -> None:
    """State and its change arrive, by our schedule and by Prometheus' own with its discovery."""
    with Mock() as mock:
        config, found = tmp_path / "sidecar.yml", tmp_path / "targets.json"
        row = {"name": "flags", "port": mock.port, "kind": "sync", "read_body": True,
               "timeout": "0.4s", "labels": {"team": "edge"}}  # fmt: skip
        document = {"defaults": {"interval": "200ms"}, "targets": [row],
                    "probe": {"allow": ["127.0.0.0/8"]}}  # fmt: skip
        put(config, json.dumps(document))
        address = f"127.0.0.1:{mock.port}"
        put(found, json.dumps([{"targets": ["flags", address, "10.0.0.1:80"]}]))
        async with running(config) as client:
            main, second = client.sidecar.addresses
            text = CONFIG.format(main=main, second=second, found=found)
            async with prometheus(tmp_path, text) as base:
                for query, expected in (
                    ('probe_success{job="sidecar", target="flags", team="edge"}', 1),
                    ('probe_state{target="flags", probe_state="healthy"}', 1),
                    ('probe_success{job="probe", instance="flags"}', 1),
                    (f'probe_success{{job="probe", instance="{address}"}}', 1),
                    ('up{job="probe", instance="10.0.0.1:80"}', 0),
                    ('synchronizer_item_healthy{job="sidecar", item="Splits"}', 1),
                    ('probe_check_duration_seconds_bucket{le="+Inf"} > bool 0', 1),
                ):
                    await comes(client, base, query, expected)
                await asyncio.to_thread(mock.set, "unhealthy")
                for query, expected in (
                    ('probe_success{job="sidecar", target="flags"}', 0),
                    ('probe_http_status_code{job="probe", instance="flags"}', 500),
                    ('probe_state{target="flags", probe_state="unhealthy"}', 1),
                    ('probe_checks_total{target="flags", reason="status"} > bool 0', 1),
                ):
                    await comes(client, base, query, expected)
