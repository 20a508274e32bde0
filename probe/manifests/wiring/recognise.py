"""What kind of file a text is: by its content; its name is a hint where the content has none."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from typing import NamedTuple
from typing import NoReturn

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.json_nodes import parse_json
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Scalar
from probe.manifests.wiring.nodes import Sequence
from probe.manifests.wiring.tree import Parse
from probe.manifests.wiring.tree import child
from probe.manifests.wiring.tree import text_of
from probe.manifests.wiring.yaml_nodes import parse_yaml


class Format(StrEnum):
    """What `wire` edits."""

    ECS = "an ECS task definition"
    CLOUDFORMATION = "a CloudFormation template"
    KUBERNETES = "a Kubernetes manifest"
    COMPOSE = "a Compose file"
    DOCKERFILE = "a Dockerfile"


class Fragment(StrEnum):
    """In which syntax to show what is to be pasted, where the file cannot be edited."""

    HCL = "hcl"
    TERRAFORM_JSON = "tf.json"
    ECS = "ecs"
    CLOUDFORMATION = "cloudformation"
    KUBERNETES = "kubernetes"
    COMPOSE = "compose"


class NotWiredError(WireError):
    """A file that cannot be edited; `fragment` is the syntax of what may be pasted there."""

    def __init__(self, message: str, line: int, fragment: Fragment | None = None) -> None:
        super().__init__(message, line)
        self.fragment = fragment


@dataclass(frozen=True, slots=True)
class Recognised:
    """A text that is edited: its kind, its documents, how to parse it again."""

    format: Format
    documents: list[Any]
    parse: Parse
    json: bool = False


WORKLOADS = frozenset({
    "Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job",
    "CronJob", "PodTemplate",
})  # fmt: skip


class _Name(NamedTuple):
    """A kind that a file's name tells."""

    pattern: str
    what: str
    fragment: Fragment | None


_BY_NAME = (
    _Name(r".*\.tf\.json", "Terraform's JSON syntax", Fragment.TERRAFORM_JSON),
    _Name(r".*\.(tf|tfvars|hcl|nomad)", "HCL", Fragment.HCL),
    _Name(r"chart\.ya?ml", "a Helm chart's description", None),
    _Name(r"values([-.].*)?\.ya?ml", "the values of a Helm chart", None),
    _Name(r"values\.schema\.json", "the schema of a Helm chart's values", None),
    _Name(r"kustomization(\.ya?ml)?", "a kustomization", None),
    _Name(r".*\.(tpl|tmpl|gotmpl|tftpl|j2|jinja2?|erb|mustache)", "a template", None),
    _Name(r".*\.(sh|bash)", "a shell script", None),
)
_DOCKERFILE = re.compile(r"(.*[.-])?(dockerfile|containerfile)([.-].*)?")
_INSTRUCTION = re.compile(
    r"(?im)^[ \t]*(FROM[ \t]+\S|HEALTHCHECK[ \t]+(--|CMD\b|NONE\b|\\)|# *(syntax|escape) *=)"
)
_HCL = re.compile(
    r'(?m)^[ \t]*((resource|data|variable|module|provider|output)[ \t]+"[^"\n]+".*\{'
    r"|(terraform|locals)[ \t]*\{)"
)
_HELM = re.compile(
    r"\{\{-?(?!resolve:)[^}\n]*(\.(Values|Release|Chart|Capabilities|Files|Template)\b|\b(include|define|toYaml"
    r"|template|tpl)\b)"
)
_TEMPLATE = re.compile(r"\{\{|\{%|<%|(?<!\$)\{#")  # ${#x} is a shell's
_JINJA = re.compile(r"(?m)^[ \t]*\{%")
_BLOCK_SCALAR = re.compile(r"(?:[&!]\S*\s+)*[|>]")


def recognise(text: str, name: str) -> Recognised:
    """Return what is to be edited. Raises WireError: broken, or NotWiredError: another kind."""
    base = re.split(r"[\\/]", name)[-1].lower()
    if not text.removeprefix("\ufeff").strip():
        raise WireError("the file is empty", 1)
    _by_name(text, base)
    if text.startswith("#!"):
        raise NotWiredError("a script, no file that describes containers", 1)
    structured = re.fullmatch(r".*\.(json|ya?ml|template)", base)
    if not structured and (_DOCKERFILE.fullmatch(base) or _is_dockerfile(text)):
        return Recognised(Format.DOCKERFILE, [], lambda _: [])
    _templates(text, name)
    if (found := _HCL.search(text)) and not structured:
        raise NotWiredError(_cannot("HCL"), _line(text, found.start()), Fragment.HCL)
    parse, is_json = _syntax(text, base)
    documents = _parse(text, parse)
    return Recognised(_format(documents, text), documents, parse, is_json)


def _by_name(text: str, base: str) -> None:
    for row in _BY_NAME:
        if re.fullmatch(row.pattern, base):
            found = re.search(r"(?i)container_?definitions|\bcontainer\b", text)
            line = _line(text, found.start()) if found and row.fragment else 1
            fragment = row.fragment
            if fragment is None and row.what == "a template":
                fragment = _fragment_of(text)
            raise NotWiredError(_cannot(row.what), line, fragment)


def _cannot(what: str) -> str:
    return f"this is {what}, which wire does not edit"


def _is_dockerfile(text: str) -> bool:
    found = _INSTRUCTION.search(text)
    return found is not None and not re.search(r"(?m)^[A-Za-z\"'{\[][^\n ]*:( |$)", text)


def _templates(text: str, name: str) -> None:
    helm = _outside(text, _HELM)
    if helm is None and re.search(r"(^|[\\/])templates[\\/]", name):
        helm = re.search(r"\{\{", text)
    if helm is not None:
        what = _cannot("a template of a Helm chart")
        raise NotWiredError(what, _line(text, helm.start()), _fragment_of(text))
    if found := _outside(text, _JINJA):
        raise NotWiredError(
            _cannot("a template with control flow"), _line(text, found.start()), _fragment_of(text)
        )


def _outside(text: str, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """Return the first match that is the file's own: in no comment, in no text that it carries."""
    matches = [m for m in pattern.finditer(text) if not _in_comment(text, m.start())]
    carried = _block_scalars(text) if matches else []
    return next(
        (m for m in matches if not any(start < m.start() < end for start, end in carried)), None
    )


def _block_scalars(text: str) -> list[tuple[int, int]]:
    """Return where texts behind `|` and `>` stand, as in a ConfigMap; none where it is no YAML."""
    try:
        nodes = [document.node for document in parse_yaml(text)]
    except WireError:
        return []
    spans = []
    while nodes:
        node = nodes.pop()
        if isinstance(node, Mapping):
            nodes += [entry.value for entry in node.entries]
        elif isinstance(node, Sequence):
            nodes += node.items
        elif isinstance(node, Scalar) and _BLOCK_SCALAR.match(text, node.start):
            spans.append((node.start, node.end))
    return spans


def _in_comment(text: str, position: int) -> bool:
    start = text.rfind("\n", 0, position) + 1
    return text[start:position].lstrip().startswith("#")


def _fragment_of(text: str) -> Fragment | None:
    signs = {
        r"(?i)AWS::ECS|\bContainerDefinitions\b": Fragment.CLOUDFORMATION,
        r"containerDefinitions|\"essential\"": Fragment.ECS,
        r"(?m)^services:": Fragment.COMPOSE,
        r"(?m)^kind:|\bcontainers:": Fragment.KUBERNETES,
    }
    order = list(signs)
    if "containerDefinitions" in text:
        order = order[1:]
    return next((signs[sign] for sign in order if re.search(sign, text)), None)


def _syntax(text: str, base: str) -> tuple[Parse, bool]:
    """Tell JSON from YAML: by the name, else by the first character."""
    first = text.removeprefix("\ufeff").lstrip()[0]
    if base.endswith(".json") or (first in "{[" and not re.search(r"\.ya?ml$", base)):
        return _json_documents, True
    if first in "{[":  # JSON in a file named YAML, perhaps with tabs, which YAML forbids
        try:
            parse_json(text)
        except WireError:
            return parse_yaml, False
        return _json_documents, True
    return parse_yaml, False


def _json_documents(text: str) -> list[Any]:
    return [parse_json(text)]


def _parse(text: str, parse: Callable[[str], list[Any]]) -> list[Any]:
    """Parse; where it fails and the text has signs of a template, that is what to tell."""
    try:
        documents = parse(text)
    except NotWiredError:
        raise
    except WireError as error:
        found = _TEMPLATE.search(text)
        line = _line(text, found.start()) if found else 0
        if 0 < line <= error.line:  # what stands below is not what the parser fell over
            raise NotWiredError(_cannot("a template"), line, _fragment_of(text)) from error
        error.line = min(error.line, _line(text, len(text)))  # YAML breaks lines at more than LF
        raise
    return documents


def _format(documents: list[Any], text: str) -> Format:
    nodes = [document.node for document in documents if not _empty(document.node)]
    if not nodes:
        raise WireError("the file holds nothing but comments", 1)
    for test, found in _FORMATS:
        if any(test(node) for node in nodes):
            return found
    for node in nodes:
        for test, what in _OTHERS:
            if test(node):
                raise NotWiredError(_cannot(what), node.line)
    return _unknown(nodes[0], text)


def _empty(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.value is None)


def _unknown(node: Node, text: str) -> NoReturn:
    if isinstance(node, Mapping):
        if kind := _kind(node):
            raise NotWiredError(f"{kind} has no containers, and nothing else here has", node.line)
        keys = ", ".join(text_of(entry.key)[:40] for entry in node.entries[:4]) or "no key"
        what = f"the top level has {keys}"
    elif isinstance(node, Sequence):
        what = "the top level is a list"
    else:
        what = "the top level is a single value"
        if found := _TEMPLATE.search(text):
            raise NotWiredError(_cannot("a template"), _line(text, found.start()))
    raise NotWiredError(
        f"{what}: no task definition, template, Kubernetes manifest, Compose file or Dockerfile",
        node.line,
    )


def _kind(node: Node) -> str:
    if isinstance(node, Mapping) and child(node, "apiVersion") is not None:
        return text_of(child(node, "kind"))
    return ""


def _has(*keys: str) -> Callable[[Node], bool]:
    def test(node: Node) -> bool:
        return isinstance(node, Mapping) and all(_key(node, key) for key in keys)

    return test


def _key(node: Mapping, key: str) -> bool:
    return any(text_of(entry.key) == key for entry in node.entries)


def _is_workload(node: Node) -> bool:
    return _kind(node) in WORKLOADS or _is_list(node)


def _is_list(node: Node) -> bool:
    return _kind(node).endswith("List") and isinstance(node, Mapping) and _key(node, "items")


def _is_definitions(node: Node) -> bool:
    return (
        isinstance(node, Sequence)
        and bool(node.items)
        and all(_has("name", "image")(item) for item in node.items)
    )


def _is_template(node: Node) -> bool:
    if not isinstance(node, Mapping):
        return False
    if _key(node, "AWSTemplateFormatVersion"):
        return True
    resources = child(node, "Resources")
    return isinstance(resources, Mapping) and any(
        _has("Type")(entry.value) or text_of(entry.key).startswith("Fn::")
        for entry in resources.entries
    )


def _is_task(node: Node) -> bool:
    if not isinstance(node, Mapping):
        return False
    return _key(node, "containerDefinitions") or _has("containerDefinitions")(
        child(node, "taskDefinition") or node
    )


def _of_group(group: str) -> Callable[[Node], bool]:
    return lambda node: (
        isinstance(node, Mapping) and text_of(child(node, "apiVersion")).startswith(group)
    )


def _is_schema(node: Node) -> bool:
    return isinstance(node, Mapping) and "json-schema.org" in text_of(child(node, "$schema"))


def _is_health_object(node: Node) -> bool:
    return _has("command")(node) and not _has("image")(node) and not _has("kind")(node)


def _is_patch(node: Node) -> bool:
    return isinstance(node, Sequence) and any(_has("op", "path")(item) for item in node.items)


def _is_compose(node: Node) -> bool:
    return _has("services")(node) and not _kind(node)


def _is_old_compose(node: Node) -> bool:
    return (
        isinstance(node, Mapping)
        and bool(node.entries)
        and all(_has("image")(e.value) or _has("build")(e.value) for e in node.entries)
    )


_FORMATS: tuple[tuple[Callable[[Node], bool], Format], ...] = (
    (_is_task, Format.ECS),
    (_is_definitions, Format.ECS),
    (_is_template, Format.CLOUDFORMATION),
    (_is_workload, Format.KUBERNETES),
    (_is_compose, Format.COMPOSE),
)
_OTHERS: tuple[tuple[Callable[[Node], bool], str], ...] = (
    (_of_group("kustomize.config.k8s.io"), "a kustomization"),
    (_is_schema, "a JSON schema"),
    (_has("apiVersion", "name", "version"), "a Helm chart's description"),
    (_is_patch, "a JSON patch"),
    (_is_health_object, "a bare healthCheck object, complete in itself"),
    (_has("terraform"), "Terraform's JSON syntax"),
    (_has("resource"), "Terraform's JSON syntax"),
    (_is_old_compose, "a Compose file of version 1, without services"),
    (_has("networks"), "a Compose file without services"),
    (_has("volumes"), "a Compose file without services"),
    (_has("version"), "a file without services"),
)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
