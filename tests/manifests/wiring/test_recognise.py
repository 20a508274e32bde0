"""A file is known by what it holds; its name helps where that does not tell."""

import pytest

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.recognise import Format
from probe.manifests.wiring.recognise import Fragment
from probe.manifests.wiring.recognise import NotWiredError
from probe.manifests.wiring.recognise import recognise

POD = "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: a}]}\n"
TASK = '{"family": "a", "containerDefinitions": [{"name": "a", "image": "a"}]}'

KNOWN = [
    pytest.param(TASK, "x", Format.ECS, id="register input"),
    pytest.param(f'{{"taskDefinition": {TASK}}}', "x.json", Format.ECS, id="describe output"),
    pytest.param('[{"name": "a", "image": "b"}]', "x.json", Format.ECS, id="bare list"),
    pytest.param("containerDefinitions:\n- name: a\n", "x.yaml", Format.ECS, id="ECS in YAML"),
    pytest.param(
        "Resources:\n  A:\n    Type: AWS::SNS::Topic\n", "", Format.CLOUDFORMATION, id="CFN"
    ),
    pytest.param(
        'AWSTemplateFormatVersion: "2010-09-09"\nResources: !Include x\n',
        "x.template",
        Format.CLOUDFORMATION,
        id="CFN by its version",
    ),
    pytest.param(
        "Resources:\n  A:\n    Type: X\n    P: '{{resolve:ssm:x}}'\n",
        "t.yml",
        Format.CLOUDFORMATION,
        id="a dynamic reference is no template",
    ),
    pytest.param(POD, "", Format.KUBERNETES, id="Pod"),
    pytest.param(f"---\nkind: X\n---\n{POD}", "x.yaml", Format.KUBERNETES, id="second document"),
    pytest.param(
        '{"apiVersion": "v1", "kind": "List", "items": []}', "x", Format.KUBERNETES, id="List"
    ),
    pytest.param(
        POD + "# {{ not a template }}\n", "x.yaml", Format.KUBERNETES, id="braces in a comment"
    ),
    pytest.param("services:\n  a: {image: b}\n", "x", Format.COMPOSE, id="Compose"),
    pytest.param(
        "services:\n  a: {hostname: '{{.Node.Hostname}}'}\n", "", Format.COMPOSE, id="Swarm's own"
    ),
    pytest.param("FROM scratch\n", "x", Format.DOCKERFILE, id="Dockerfile by content"),
    pytest.param(
        "# x\nHEALTHCHECK --interval=5s \\\n CMD []\n", "", Format.DOCKERFILE, id="fragment"
    ),
    pytest.param("ARG X\nRUN y\n", "app.Dockerfile", Format.DOCKERFILE, id="Dockerfile by name"),
    pytest.param("ARG X\n", "d/Containerfile", Format.DOCKERFILE, id="Containerfile"),
    pytest.param("\ufeffFROM a\r\n", "Dockerfile.dev", Format.DOCKERFILE, id="BOM and CRLF"),
]


@pytest.mark.parametrize(("text", "name", "kind"), KNOWN)
def test_known(text: str, name: str, kind: Format) -> None:
    assert recognise(text, name).format is kind


HELM = "kind: Deployment\nspec:\n  x: {{ .Values.x }}\n"
OTHERS = [
    pytest.param(
        '# x\nresource "aws_ecs_task_definition" "a" {\n}\n', "main.tf", "HCL", 1, Fragment.HCL,
        id="HCL by name",
    ),
    pytest.param(
        'x = 1\nresource "aws_x" "a" {\n', "", "HCL", 2, Fragment.HCL, id="HCL by content"
    ),
    pytest.param(
        '{\n"resource": {"container_definitions": 1}}', "a.tf.json", "Terraform's JSON", 2,
        Fragment.TERRAFORM_JSON, id="Terraform JSON",
    ),
    pytest.param('{"resource": {}}', "-", "Terraform's JSON", 1, None, id="the same by content"),
    pytest.param("name: x\n", "Chart.yaml", "Helm", 1, None, id="Chart.yaml"),
    pytest.param("image: x\n", "h/values.yaml", "values of a Helm", 1, None, id="values.yaml"),
    pytest.param(HELM, "t.yaml", "template of a Helm", 3, Fragment.KUBERNETES, id="Helm template"),
    pytest.param(
        "kind: Pod\na: '{{ x }}'\n", "helm/templates/p.yaml", "Helm", 2, Fragment.KUBERNETES,
        id="Helm template by its folder",
    ),
    pytest.param("resources: [a]\n", "kustomization.yaml", "kustomization", 1, None, id="by name"),
    pytest.param(
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n", "x", "kustomization", 1,
        None, id="Component",
    ),
    pytest.param(
        '{"$schema": "http://json-schema.org/draft-07/schema#"}', "x.json", "schema", 1, None,
        id="JSON schema",
    ),
    pytest.param('[{"op": "add", "path": "/x"}]', "x.json", "JSON patch", 1, None, id="patch"),
    pytest.param("#!/bin/sh\nFROM x\n", "x", "script", 1, None, id="script"),
    pytest.param("networks: {}\n", "x.yml", "without services", 1, None, id="override"),
    pytest.param("web:\n  image: x\n", "x.yml", "version 1", 1, None, id="Compose 1"),
    pytest.param(
        '{"command": ["CMD", "x"], "interval": 5}', "x.json", "healthCheck object", 1, None,
        id="bare healthCheck",
    ),
    pytest.param(
        "services:\n{% if x %}\n  a: {}\n", "x.yml", "control flow", 2, Fragment.COMPOSE, id="Jinja"
    ),
    pytest.param(
        "services:\n  a: {image: {{ x }}}\n", "x.yml", "a template", 2, Fragment.COMPOSE,
        id="unquoted braces",
    ),
    pytest.param(
        '{"containerDefinitions": [{{ x }}]}', "x.json", "a template", 1, Fragment.ECS,
        id="braces in JSON",
    ),
    pytest.param(TASK, "task.json.tftpl", "a template", 1, Fragment.ECS, id="by its ending"),
    pytest.param(
        "apiVersion: v1\nkind: Service\n", "x.yaml", "Service has no containers", 1, None,
        id="Kubernetes without workload",
    ),
    pytest.param("a: 1\nb: 2\n", "x.yaml", "the top level has a, b", 1, None, id="other YAML"),
    pytest.param("[1]", "x.json", "the top level is a list", 1, None, id="a list"),
    pytest.param("hello\n", "x", "the top level is a single value", 1, None, id="a word"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "what", "line", "fragment"), OTHERS)
def test_others(text: str, name: str, what: str, line: int, fragment: Fragment | None) -> None:
    """What is not edited is named, with the line and the syntax of what may be pasted."""
    with pytest.raises(NotWiredError) as raised:
        recognise(text, name)
    assert what in raised.value.message
    assert (raised.value.line, raised.value.fragment) == (line, fragment)


BROKEN = [
    pytest.param("", "x.json", 1, id="empty"),
    pytest.param(" \n\n", "Dockerfile", 1, id="blank"),
    pytest.param("# a\n---\n# b\n", "x.yaml", 1, id="comments alone"),
    pytest.param('{\n"containerDefinitions": [', "x.json", 2, id="truncated JSON"),
    pytest.param('{"family": "a",\n"family": "b"}', "x.json", 2, id="duplicate key in JSON"),
    pytest.param("services: {}\nservices: {}\n", "x.yaml", 2, id="duplicate key in YAML"),
    pytest.param("a: b: c\n", "x.yaml", 1, id="not YAML"),
]


@pytest.mark.parametrize(("text", "name", "line"), BROKEN)
def test_broken(text: str, name: str, line: int) -> None:
    """A broken file is told with its line, and is not taken for another kind."""
    with pytest.raises(WireError) as raised:
        recognise(text, name)
    assert (raised.value.line, isinstance(raised.value, NotWiredError)) == (line, False)
