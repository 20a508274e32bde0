"""The spec file of `probe generate all`: workloads, and what each target is told of them.

defaults:             # options of every workload, by their names without the dashes
  interval: 10s
workloads:
  split-sync:
    kind: sync        # options of every target that knows them
    env: {SPLIT_SYNC_LOG_LEVEL: info}
    targets:
      ecs: {launch: ec2}
      helm: false     # not this one
"""

import re
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.error import YAMLError

from probe.manifests.options import BY_NAME
from probe.manifests.options import EVERY
from probe.manifests.options import WHAT
from probe.manifests.options import Value
from probe.manifests.spec import SpecError

Given = dict[str, Value]
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")


class _Texts(SafeConstructor):
    """Numbers and dates stay as they are written: 1.10 is not 1.1, nor 010 another number."""


for _tag in ("int", "float", "timestamp"):
    _Texts.add_constructor(f"tag:yaml.org,2002:{_tag}", SafeConstructor.construct_yaml_str)


class Job(NamedTuple):
    """One document to make: for which workload and target, of which options."""

    workload: str
    target: str
    given: Given


def read_spec(text: str) -> list[Job]:
    """Read a spec file. Raises SpecError with every fault and its place."""
    document = _load(text)
    problems = [
        f"{key}: unknown; there are defaults and workloads"
        for key in document
        if key not in {"defaults", "workloads"}
    ]
    defaults = _options(document.get("defaults") or {}, "defaults", EVERY, problems)
    workloads = document.get("workloads")
    if not isinstance(workloads, dict) or not workloads:
        raise SpecError([*problems, "workloads: needed: a mapping of names to options"])
    jobs = [
        job
        for name, body in workloads.items()
        for job in _jobs(str(name), body, defaults, problems)
    ]
    if problems:
        raise SpecError(problems)
    return jobs


def _load(text: str) -> dict[str, Any]:
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Constructor = _Texts
        document = yaml.load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError([f"line {line}: {error.problem}"]) from None
    except YAMLError as error:
        raise SpecError([str(error)]) from None
    except RecursionError:
        raise SpecError(["nested too deeply for a spec file"]) from None
    if not isinstance(document, dict):
        raise SpecError(["not a mapping with defaults and workloads"])
    return document


def _jobs(name: str, body: object, defaults: Given, problems: list[str]) -> Iterator[Job]:
    place = f"workloads.{name}"
    if not isinstance(body, dict):
        problems.append(f"{place}: not a mapping of options")
        return
    if not _FOLDER.fullmatch(name):
        problems.append(f"{place}: a name of letters, digits, dots, _ and -, for it names a folder")
    rest = {key: value for key, value in body.items() if key != "targets"}
    common = {"name": name} | defaults | _options(rest, place, EVERY, problems)
    targets = body.get("targets") or {}
    if not isinstance(targets, dict):
        problems.append(f"{place}.targets: not a mapping of targets")
        return
    problems += [f"{place}.targets.{t}: no target; there are {', '.join(WHAT)}"
                 for t in targets if t not in WHAT]  # fmt: skip
    for target in WHAT:
        own = targets.get(target)
        if own is False:
            continue
        known = {key: value for key, value in common.items() if target in BY_NAME[key].targets}
        extra = _options(own or {}, f"{place}.targets.{target}", frozenset({target}), problems)
        yield Job(name, target, known | extra)


def _options(found: object, place: str, targets: frozenset[str], problems: list[str]) -> Given:
    if not isinstance(found, dict):
        problems.append(f"{place}: not a mapping of options")
        return {}
    given: Given = {}
    for key, value in found.items():
        row = BY_NAME.get(str(key))
        if row is None or not row.targets & targets:
            problems.append(f"{place}.{key}: no such option here")
            continue
        text = _value(value, flag=not row.metavar, many=row.many)
        if text is None:
            problems.append(f"{place}.{key}: {value!r} is not {_form(row.metavar, row.many)}")
        else:
            given[row.name] = text
    return given


def _form(metavar: str, many: bool) -> str:  # noqa: FBT001 # a row's own field
    if not metavar:
        return "true or false"
    return "a list or a mapping of texts" if many else f"one {metavar}"


def _value(value: object, *, flag: bool, many: bool) -> Value | None:
    """Return the value as the command line would have it; None where it has the wrong form."""
    if flag:
        return value if isinstance(value, bool) else None
    if many and isinstance(value, Mapping):
        return _texts(value.values(), [f"{name}=" for name in value])
    if many:
        return _texts(value, [""] * len(value)) if isinstance(value, list) else None
    return _text(value) if isinstance(value, str | bool) else None


def _texts(values: Collection[object], prefixes: list[str]) -> Value | None:
    if not all(isinstance(value, str | bool) for value in values):
        return None
    return tuple(prefix + _text(value) for prefix, value in zip(prefixes, values, strict=True))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
