"""How the tests write what a script calls.

Names of commands; `?name` is guarded, `~name` tolerated (`|| true`), `via>name` run by another,
`<text>` unknown.
"""

import re

from probe.image.shell import ScriptFacts


def shown(facts: ScriptFacts) -> list[str]:
    """Return calls and unknowns in that form, sorted."""
    return sorted({text for _, text in placed(facts)})


def placed(facts: ScriptFacts) -> list[tuple[int, str]]:
    """Return the same with the line of each, in the order of the lines."""
    calls = [
        (
            call.line,
            "?" * call.guarded + "~" * call.tolerated + ">".join([*call.via, call.name]),
        )
        for call in facts.calls
    ]
    unknown = [
        (it.line, "?" * it.guarded + ">".join([*it.via, f"<{it.text}>"])) for it in facts.unknown
    ]
    return sorted([*calls, *unknown])


def parts(text: str) -> list[str]:
    """Split at spaces outside of <...>, which may hold them."""
    return re.findall(r"(?:[^\s<]*<[^>]*>|\S)+", text)
