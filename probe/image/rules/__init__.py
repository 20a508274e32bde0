"""What an image is judged by: one module a topic, each rule with its reason and two examples."""

from collections.abc import Mapping

from probe.image.rules import accounts
from probe.image.rules import arguments
from probe.image.rules import certificates
from probe.image.rules import environment
from probe.image.rules import health
from probe.image.rules import health_script
from probe.image.rules import layout
from probe.image.rules import leftovers
from probe.image.rules import loader
from probe.image.rules import locale
from probe.image.rules import reading
from probe.image.rules import running
from probe.image.rules import script_texts
from probe.image.rules import scripts
from probe.image.rules import size
from probe.image.rules import synchronizer
from probe.image.rules import user
from probe.image.rules.rule import Rule

_MODULES = (
    reading,
    loader,
    scripts,
    script_texts,
    synchronizer,
    health,
    health_script,
    running,
    arguments,
    user,
    environment,
    locale,
    certificates,
    accounts,
    layout,
    leftovers,
    size,
)

RULES: Mapping[str, Rule] = {rule.code: rule for module in _MODULES for rule in module.RULES}
"""By code, in the order in which `--explain` lists them."""
