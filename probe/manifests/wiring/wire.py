"""Text in, text out: the health check put into a file, or brought up to date."""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from typing import NamedTuple

from probe.manifests.wiring import cloudformation
from probe.manifests.wiring import compose
from probe.manifests.wiring import dockerfile
from probe.manifests.wiring import ecs
from probe.manifests.wiring import healthcheck
from probe.manifests.wiring import kubernetes
from probe.manifests.wiring.check import speaks_tls
from probe.manifests.wiring.choose import choose
from probe.manifests.wiring.choose import is_synchronizers_image
from probe.manifests.wiring.choose import is_synchronizers_name
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.healthcheck import Shape
from probe.manifests.wiring.owned import changed_line
from probe.manifests.wiring.owned import verify_rest
from probe.manifests.wiring.recognise import Format
from probe.manifests.wiring.recognise import Fragment
from probe.manifests.wiring.recognise import NotWiredError
from probe.manifests.wiring.recognise import Recognised
from probe.manifests.wiring.recognise import recognise
from probe.manifests.wiring.request import Request
from probe.manifests.wiring.request import Result
from probe.manifests.wiring.request import State
from probe.manifests.wiring.request import Wired
from probe.manifests.wiring.tree import Change
from probe.manifests.wiring.tree import Site
from probe.manifests.wiring.tree import ThroughAliasError
from probe.manifests.wiring.tree import rewrite
from probe.manifests.wiring.yaml_nodes import NoAnchorError


class _Part(NamedTuple):
    """What is done in a container: what stood there, and the changes."""

    wired: Wired
    changes: list[Change]


class _Editor(NamedTuple):
    """One format's way: its containers, what one carries, and what changes that."""

    sites: Callable[[list[Any]], Iterator[Site]]
    judge: Callable[[Site, Request], Wired]
    changes: Callable[[Site, Request, Recognised], list[Change]]
    fragment: Fragment
    by_script: Callable[[Site, Request], bool] = lambda _site, _request: True


def _single(
    sites: Callable[[list[Any]], Iterator[Site]], shape: Shape, fragment: Fragment
) -> _Editor:
    """Return the editor of a format that has the check as one object."""

    def judge(site: Site, _request: Request) -> Wired:
        return healthcheck.judge(site, healthcheck.look(site, shape), shape)

    def changes(site: Site, request: Request, _found: Recognised) -> list[Change]:
        return healthcheck.changes(site, healthcheck.look(site, shape), shape, request)

    return _Editor(sites, judge, changes, fragment)


def _judge_pod(site: Site, request: Request) -> Wired:
    return kubernetes.judge(site, kubernetes.look(site), request)


def _pod_by_script(site: Site, request: Request) -> bool:
    return not kubernetes.by_kubelet(kubernetes.look(site), request)


def _change_pod(site: Site, request: Request, found: Recognised) -> list[Change]:
    return kubernetes.changes(
        site, kubernetes.look(site), request, found.documents, is_json=found.json
    )


_EDITORS = {
    Format.ECS: _single(ecs.sites, ecs.SHAPE, Fragment.ECS),
    Format.CLOUDFORMATION: _single(
        cloudformation.sites, cloudformation.SHAPE, Fragment.CLOUDFORMATION
    ),
    Format.COMPOSE: _single(compose.sites, compose.SHAPE, Fragment.COMPOSE),
    Format.KUBERNETES: _Editor(
        kubernetes.sites, _judge_pod, _change_pod, Fragment.KUBERNETES, _pod_by_script
    ),
}


def wire(text: str, name: str, request: Request, *, look_only: bool = False) -> Result:
    """Put our check into a text, or bring it up to date; *name* is a hint at what it is.

    A foreign check stays where `request.replace` is not set. With *look_only* nothing is changed
    and what hinders a change is no fault. Raises WireError with the line, TimingsError.
    """
    found = recognise(text, name)
    _options_fit(found.format, request)
    if found.format is Format.DOCKERFILE:
        return _wire_dockerfile(text, request, look_only=look_only)
    editor = _EDITORS[found.format]
    try:
        parts = _parts(editor, found, request, look_only=look_only)
        after = _edited(text, found, [change for part in parts for change in part.changes])
    except ThroughAliasError as error:
        raise NotWiredError(error.message, error.line, editor.fragment) from error
    if request.for_register and not look_only:
        after = _for_register(after, found)
    return Result(after, found.format, tuple(part.wired for part in parts))


def _edited(text: str, found: Recognised, changes: list[Change]) -> str:
    if not changes:
        return text
    line = changed_line(found.documents, changes[0])
    try:
        after = rewrite(text, changes, found.parse)
        verify_rest(text, after, found.parse, changes, line)
    except ThroughAliasError:
        raise
    except NoAnchorError as error:
        raise ThroughAliasError(
            f"what is to be replaced holds the anchor &{error.name}, which others name", line
        ) from error
    except WireError as error:  # its line would be one of a text that nobody has
        raise WireError(f"cannot be edited there: {error.message}", line) from error
    return after


def _wire_dockerfile(text: str, request: Request, *, look_only: bool) -> Result:
    place = dockerfile.look(text, request)
    wired = dockerfile.judge(place)
    tls = speaks_tls(place.variables)
    if look_only or (wired.state is State.FOREIGN and not request.replace):
        if tls and wired.state is State.OURS:
            wired = replace(wired, faults=(*wired.faults, _tls(tls)))
        return Result(text, Format.DOCKERFILE, (wired,))
    if tls:
        raise WireError(_tls(tls), place.line)
    return Result(dockerfile.change(text, place, request), Format.DOCKERFILE, (wired,))


def _options_fit(format_: Format, request: Request) -> None:
    if request.for_register and format_ is not Format.ECS:
        raise WireError(f"--for-register is for ECS task definitions; this is {format_}", 1)
    if format_ is Format.KUBERNETES:
        return
    if request.handler is not None:
        raise WireError(f"--handler is for Kubernetes; this is {format_}", 1)
    if request.delivery == "configmap":
        raise WireError(f"--script configmap is for Kubernetes; this is {format_}", 1)


def _parts(editor: _Editor, found: Recognised, request: Request, *, look_only: bool) -> list[_Part]:
    sites = list(editor.sites(found.documents))

    def ours(site: Site) -> bool:
        return site.blocked is None and editor.judge(site, request).state is State.OURS

    chosen = choose(sites, request.container, ours)
    return [_part(site, editor, found, request, look_only=look_only) for site in chosen]


def _part(
    site: Site, editor: _Editor, found: Recognised, request: Request, *, look_only: bool
) -> _Part:
    if site.blocked is not None:
        raise NotWiredError(site.blocked, site.line, editor.fragment)
    wired = editor.judge(site, request)
    tls = speaks_tls(site.variables) if editor.by_script(site, request) else None
    if look_only:
        if tls and wired.state is State.OURS:
            wired = replace(wired, faults=(*wired.faults, _tls(tls)))
        return _Part(wired, [])
    if wired.state is State.FOREIGN and not request.replace:
        return _Part(wired, [])
    if tls:
        raise WireError(f"container {site.name}: {_tls(tls)}", site.line)
    return _Part(replace(wired, notes=_notes(site, request)), editor.changes(site, request, found))


def _tls(variable: str) -> str:
    return (
        f"{variable} makes the admin port speak TLS, which the shell probe cannot: leave TLS off "
        "with the port on loopback, or let `probe check --tls` of a sidecar ask"
    )


def _notes(site: Site, request: Request) -> tuple[str, ...]:
    known = is_synchronizers_image(site) or is_synchronizers_name(site)
    named = request.port is not None or request.path is not None
    if known or named or any(name.startswith("SPLIT_") for name in site.variables):
        return ()
    return ("it asks port 3010 for /health/application unless --port and --path say other",)


def _for_register(text: str, found: Recognised) -> str:
    text = rewrite(text, ecs.for_register(found.parse(text)), found.parse)
    return ecs.unwrap(text, found.parse(text))
