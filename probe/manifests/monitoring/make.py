"""The files of `probe generate prometheus` and `grafana`."""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probe.manifests import emit
from probe.manifests.monitoring import grafana
from probe.manifests.monitoring import rules
from probe.manifests.monitoring import scrape
from probe.manifests.monitoring.options import BY_NAME
from probe.manifests.options import Value
from probe.manifests.options import parse_rows
from probe.manifests.spec import SpecError

_FIELDS = {
    "sidecar": "sidecars",
    "sidecar-file": "sidecar_files",
    "target": "targets",
    "target-file": "target_files",
    "exporter": "exporter",
    "alertmanager": "alertmanagers",
    "scrape-interval": "scrape_interval",
    "workload": "workloads",
    "namespace": "namespace",
}


@dataclass(frozen=True, slots=True)
class Files:
    """Texts by their names; `main` is the one for stdout. `notes` are for the user."""

    main: str
    texts: dict[str, str]
    notes: tuple[str, ...] = ()


def make(target: str, given: Mapping[str, Value]) -> Files:
    """Make a target's files of options as given. Raises SpecError with every fault."""
    problems: list[str] = []
    values = parse_rows(BY_NAME, given, problems)
    found = _MAKERS[target](values, problems)
    if problems:
        raise SpecError(problems)
    return found


def _prometheus(values: Mapping[str, Any], problems: list[str]) -> Files:
    options = scrape.Options(**{
        field: values[name] for name, field in _FIELDS.items() if name in values
    })  # fmt: skip
    common = {
        rules.FILE: emit.to_yaml(rules.groups()),
        rules.TEST_FILE: emit.to_yaml(rules.tests()),
        scrape.ROUTES_FILE: emit.to_yaml(scrape.routes(), header=_ROUTES_HEADER),
    }
    if values.get("operator"):
        problems += _misfits(values, _NOT_FOR_OPERATOR, "with --operator the pods are found")
        if "target" in values and "exporter" not in values:
            problems.append(_NO_EXPORTER)
        texts = {scrape.OPERATOR_FILE: emit.to_yaml(*scrape.objects(options)), **common}
        return Files(scrape.OPERATOR_FILE, texts, (_OPERATOR_NOTE,))
    problems += _misfits(values, ("workload", "namespace"), "for --operator alone")
    text = emit.to_yaml(scrape.configuration(options))
    notes = (_PROBE_NOTE,) if options.has_targets else ()
    return Files(scrape.FILE, {scrape.FILE: text, **common}, notes)


_NOT_FOR_OPERATOR = ("sidecar", "sidecar-file", "target-file", "alertmanager")
_NO_EXPORTER = (
    "--exporter: needed with --operator and --target: the sidecar that Prometheus asks, by the "
    "name of its Service"
)
_ROUTES_HEADER = "An example: put your receivers in, and check with `amtool check-config`."
_PROBE_NOTE = (
    "/probe is on the sidecar's first listener alone, which is on loopback unless --listen says "
    "otherwise; addresses must be within its probe.allow, names be those of its targets"
)
_OPERATOR_NOTE = (
    "the operator takes objects whose labels its Prometheus selects (podMonitorSelector, "
    "probeSelector, ruleSelector): add those that yours wants"
)


def _misfits(values: Mapping[str, Any], names: tuple[str, ...], why: str) -> list[str]:
    return [f"--{name}: {why}; leave it out" for name in names if name in values]


def _grafana(values: Mapping[str, Any], _problems: list[str]) -> Files:
    document = grafana.dashboard(values.get("title", "Split synchronizers"))
    return Files(grafana.FILE, {grafana.FILE: emit.to_json(document)})


_MAKERS: dict[str, Callable[[Mapping[str, Any], list[str]], Files]] = {
    "prometheus": _prometheus,
    "grafana": _grafana,
}
