"""What to paste into a file that cannot be edited, in its own syntax."""

import json
from typing import Any

from probe.manifests.command import double_dollars
from probe.manifests.command import escape_terraform
from probe.manifests.command import to_docker
from probe.manifests.emit import to_json
from probe.manifests.emit import to_yaml
from probe.manifests.kubernetes_probes import probes
from probe.manifests.spec import ADMIN_PORT
from probe.manifests.spec import HEALTH_PATH
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.manifests.wiring import check
from probe.manifests.wiring import cloudformation
from probe.manifests.wiring import compose
from probe.manifests.wiring import ecs
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.healthcheck import Shape
from probe.manifests.wiring.recognise import Fragment
from probe.manifests.wiring.recognise import NotWiredError
from probe.manifests.wiring.request import Request
from probe.platforms.rows import KUBERNETES
from probe.platforms.timings import TimingsError


def fragment_for(error: WireError, request: Request) -> str | None:
    """Return the text to paste where an error says that a file is left to its owner."""
    if not isinstance(error, NotWiredError) or error.fragment is None:
        return None
    try:
        return fragment(error.fragment, request)
    except TimingsError:
        return None


def fragment(syntax: Fragment, request: Request) -> str:
    """Return the check in a syntax. Raises TimingsError."""
    match syntax:
        case Fragment.HCL:
            return _hcl(_object(ecs.SHAPE, request))
        case Fragment.TERRAFORM_JSON:
            value = _escaped(_object(ecs.SHAPE, request))
            return to_json({"healthCheck": value})
        case Fragment.ECS:
            return to_json({"healthCheck": _object(ecs.SHAPE, request)})
        case Fragment.CLOUDFORMATION:
            return to_yaml({"HealthCheck": _object(cloudformation.SHAPE, request)})
        case Fragment.COMPOSE:
            return to_yaml({"healthcheck": _object(compose.SHAPE, request)})
        case Fragment.KUBERNETES:
            return to_yaml(_probes(request))


def _object(shape: Shape, request: Request) -> dict[str, Any]:
    timings = check.timings(request, shape.platform, None)
    words = check.words(request, None, timings.timeout, timings.own_timeout)
    times = {key: shape.write(name, getattr(timings, name)) for name, key in shape.keys.items()}
    return {shape.test: [shape.escape(word) for word in to_docker(words)], **times}


def _escaped(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"command": [escape_terraform(word) for word in value["command"]]}


def _hcl(value: dict[str, Any]) -> str:
    """Write an object of HCL: its strings are templates, with JSON's other escapes."""
    width = max(map(len, value))
    lines = [
        f"  {key:{width}} = {json.dumps(item, ensure_ascii=False)}"
        for key, item in _escaped(value).items()
    ]
    return "healthCheck = {\n" + "\n".join(lines) + "\n}\n"


def _probes(request: Request) -> dict[str, Any]:
    timings = check.timings(request, KUBERNETES, None)
    health = HealthSpec(
        timings,
        path=request.path or HEALTH_PATH,
        expect=request.expect or "200",
        delivery=request.delivery or Delivery.IMAGE,
        handler=request.handler or Handler.EXEC,
    )
    workload = Workload("app", "app", port=request.port or ADMIN_PORT)
    made = probes(Plan(workload, health, request.script, request.inline))
    if health.handler is Handler.EXEC:
        words = check.words(request, None, timings.timeout, timings.own_timeout)
        command = [double_dollars(word) for word in words]
        made = {key: probe | {"exec": {"command": command}} for key, probe in made.items()}
    return made
