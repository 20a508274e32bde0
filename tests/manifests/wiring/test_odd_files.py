"""What a thousand real files showed: styles of writing that were once read or edited wrongly."""

from dataclasses import replace
from typing import Any

import pytest

from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.recognise import Fragment
from probe.manifests.wiring.recognise import NotWiredError
from probe.manifests.wiring.request import Request
from probe.manifests.wiring.wire import wire
from probe.scripts import inline
from probe.scripts import script_text

REQUEST = Request(script_text(), inline(script_text()))
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
ONE = POD + "  - name: a\n    image: b\n"


def ask(**options: Any) -> Request:
    return replace(REQUEST, **options)


CARRIED = [
    pytest.param('  x: |\n    {{ include "a" . }}\n    {{ .Values.b }}\n', id="helm-in-a-text"),
    pytest.param('  x: >-\n    {{ template "a" . }}\n', id="alerts-in-a-folded-text"),
    pytest.param("  x: |\n    {% if a %}\n    b\n    {% endif %}\n", id="jinja-in-a-text"),
    pytest.param("  x: &a |\n    {{ .Values.b }}\n", id="text-with-an-anchor"),
    pytest.param('  x: "{{resolve:ssm:/app/template/x}}"\n', id="dynamic-reference"),
]  # fmt: skip


@pytest.mark.parametrize("data", CARRIED)
def test_a_text_that_holds_a_template(data: str) -> None:
    """Templates that a manifest carries as data do not make it a template."""
    text = f"{CONFIG}{data}---\n{ONE}"
    after = wire(text, "all.yaml", REQUEST).text
    assert after.startswith(text)
    assert wire(after, "all.yaml", REQUEST).carries


TEMPLATES = [
    pytest.param('  x: "{{ .Values.b }}"\n', "all.yaml", id="helm-in-a-value"),
    pytest.param("  x: |\n    {{ .Values.b }}\n", "chart/templates/all.yaml", id="in-a-chart"),
    pytest.param("  x: |\n    a\n{{ if .Values.b }}\n  y: b\n{{ end }}\n", "all.yaml",
                 id="control-flow"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "name"), TEMPLATES)
def test_a_template_stays_refused(data: str, name: str) -> None:
    """What renders the manifest itself is left to its owner, who gets the fragment."""
    with pytest.raises(NotWiredError, match="template") as caught:
        wire(f"{CONFIG}{data}---\n{ONE}", name, REQUEST)
    assert caught.value.fragment is Fragment.KUBERNETES


BROKEN = [
    pytest.param(ONE + "    args:\n    - |\n      ${#x}\n   b: c\n", 11, "no YAML", id="shell"),
    pytest.param(ONE + "   b: c\n    x: '{{ a }}'\n", 8, "no YAML", id="braces-below"),
    pytest.param(ONE + "    x: {{ a }}\n", 8, "a template", id="braces"),
]


@pytest.mark.parametrize(("text", "line", "message"), BROKEN)
def test_broken_or_a_template(text: str, line: int, message: str) -> None:
    """Braces are the reason only where the parser may have fallen over them."""
    with pytest.raises(WireError, match=message) as caught:
        wire(text, "a.yaml", REQUEST)
    assert caught.value.line == line


TAGGED = [
    pytest.param('      timeoutSeconds: !!int "4"\n', id="integer"),
    pytest.param("      timeoutSeconds: !!int 4\n", id="integer-without-quotes"),
]  # fmt: skip


@pytest.mark.parametrize("timeout", TAGGED)
def test_tagged_number(timeout: str) -> None:
    """A tag of YAML's own says what a value is, in quotes or not."""
    text = f"{ONE}    livenessProbe:\n      exec: {{command: [/healthcheck.sh]}}\n{timeout}"
    after = wire(text, "a.yaml", REQUEST).text
    assert timeout in after
    assert wire(after, "a.yaml", REQUEST).text == after


ANCHORED = (
    POD
    + "  - name: a\n    livenessProbe: &p\n      httpGet: {path: /, port: 80}\n"
    + "    readinessProbe: *p\n"
)


def test_an_anchor_that_would_go() -> None:
    """A check whose anchor others name is not replaced: its owner gets the fragment."""
    with pytest.raises(NotWiredError, match="the anchor &p, which others name") as caught:
        wire(ANCHORED, "a.yaml", ask(replace=True))
    assert (caught.value.line, caught.value.fragment) == (6, Fragment.KUBERNETES)


DELIVERIES = [Delivery.INLINE, Delivery.IMAGE, Delivery.CONFIGMAP]


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_our_script_in_place_of_the_kubelet(delivery: Delivery) -> None:
    """Asking how the script comes there asks for the script, where the kubelet asked before."""
    before = wire(ONE, "a.yaml", ask(handler=Handler.HTTP)).text
    after = wire(before, "a.yaml", ask(delivery=delivery)).text
    assert ("httpGet" in before, "httpGet" in after, after.count("exec:")) == (True, False, 3)
    assert wire(after, "a.yaml", ask(delivery=delivery)).text == after


def test_behind_a_here_document() -> None:
    """An empty line goes between, without which hadolint takes the file for a broken one."""
    text = "FROM a\nRUN <<E\nb\nE\n"
    after = wire(text, "Dockerfile", REQUEST).text
    assert after.startswith(f"{text}\nHEALTHCHECK ")
    assert wire(after, "Dockerfile", REQUEST).text == after


NEARLY_EMPTY = "services:\n  a:\n  b:\n    image: c\n"


def test_beside_an_empty_service() -> None:
    """A service that another file fills is no reason to refuse the ones that stand here."""
    after = wire(NEARLY_EMPTY, "compose.yaml", ask(container="b")).text
    assert after.startswith(f"{NEARLY_EMPTY}    healthcheck:\n")


def test_an_empty_service() -> None:
    """The empty one itself is left to its owner, who gets the fragment."""
    with pytest.raises(NotWiredError, match=r"services\.a is empty") as caught:
        wire(NEARLY_EMPTY, "compose.yaml", ask(container="a"))
    assert (caught.value.line, caught.value.fragment) == (2, Fragment.COMPOSE)
