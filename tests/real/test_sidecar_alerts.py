"""The generated configuration, rules and dashboard in the real Prometheus, with a sidecar."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from probe.manifests.monitoring import grafana
from probe.manifests.monitoring import rules
from probe.manifests.monitoring import scrape
from probe.manifests.monitoring.make import make
from probe.manifests.options import Value
from probe.mock.server import Mock
from tests.real.test_sidecar_prometheus import comes
from tests.real.test_sidecar_prometheus import prometheus
from tests.sidecar.running import Client
from tests.sidecar.running import put
from tests.sidecar.running import running
from tests.support.components import require

pytestmark = [pytest.mark.asyncio, pytest.mark.real]

FIRING = 'count(ALERTS{{alertname="{}", alertstate="firing"}}) or vector(0)'
# There are none while all goes well.
EMPTY = "probe_checks_skipped_total"


def _hurried(text: str) -> str:
    """Let alerts fire after seconds, for a test cannot wait for minutes."""
    return re.sub(r'for: "[0-9]+m"', 'for: "1s"', text)


def _write(folder: Path, *, sidecar: str, exporter: str, target: str) -> str:
    """Write the rules; returns the configuration, which names them."""
    given: dict[str, Value] = {"sidecar": (sidecar,), "exporter": exporter, "target": (target,)}
    texts = make("prometheus", {**given, "scrape-interval": "1"}).texts
    put(folder / rules.FILE, _hurried(texts[rules.FILE]))
    return texts[scrape.FILE]


async def test_alerts_fire_and_resolve(tmp_path: Path) -> None:
    """A fault fires the alert of the state and of the multi-target check; its end resolves both.

    Every query of the dashboard finds something meanwhile.
    """
    require("prometheus")
    with Mock() as mock:
        config = tmp_path / "sidecar.yml"
        row = {"name": "flags", "port": mock.port, "kind": "sync", "read_body": True}
        document = {"defaults": {"interval": "200ms", "timeout": "0.4s"}, "targets": [row],
                    "probe": {"allow": ["127.0.0.0/8"]}}  # fmt: skip
        put(config, json.dumps(document))
        async with running(config) as client:
            main, second = client.sidecar.addresses
            target = f"127.0.0.1:{mock.port}"
            text = _write(tmp_path, sidecar=second, exporter=main, target=target)
            async with prometheus(tmp_path, text) as base:
                names = ("SynchronizerUnhealthy", "ProbeTargetFailing")
                for mode, expected in (("healthy", 0), ("unhealthy", 1), ("healthy", 0)):
                    await asyncio.to_thread(mock.set, mode)
                    for name in names:
                        await comes(client, base, FIRING.format(name), expected)
                assert await _silent(client, base) == []


async def _silent(client: Client, base: str) -> list[str]:
    """Return the dashboard's queries that find nothing, or are refused."""
    found = []
    for panel in grafana.dashboard("x")["panels"]:
        for row in panel.get("targets", []):
            query = re.sub(r"\$__\w+", "1m", row["expr"])
            query = re.sub(r"\$\w+", ".*", query)
            answer: Any = (
                await client.ask("/api/v1/query", base=base, params={"query": query})
            ).json
            if not answer.get("data", {}).get("result") and EMPTY not in query:
                found.append(query)
    return found
