"""The status page as text: what it tells, and that nothing from outside gets out of its place."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.contract.target import Target
from probe.sidecar.configuration.settings import Thresholds
from probe.sidecar.states import State
from probe.sidecar.store import DependencyHealth
from probe.sidecar.store import Health
from probe.sidecar.store import ItemHealth
from probe.sidecar.store import Record
from probe.sidecar.web.assets import POLICY
from probe.sidecar.web.assets import SCRIPT
from probe.sidecar.web.assets import STYLE
from probe.sidecar.web.page import PAGE
from probe.sidecar.web.page import Asked
from probe.sidecar.web.page import Now
from probe.sidecar.web.page import read_query
from probe.sidecar.web.page import render
from probe.sidecar.web.words import moment
from probe.sidecar.web.words import percentile
from probe.sidecar.web.words import span
from tests.sidecar.records import HEALTH
from tests.sidecar.records import NOW
from tests.sidecar.records import check
from tests.sidecar.records import record

VOID = {"meta", "link", "path"}


class Page(HTMLParser):
    """The page as a browser would take it: elements with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(*records: Record, asked: Asked = Asked(), later: float = 5) -> Page:  # noqa: B008 # frozen
    return Page(render(list(records), asked, Now(NOW + later, NOW + later)))


def ids(found: Page) -> list[str]:
    return [attributes["id"] for _, attributes in found.elements if "id" in attributes]


# --- what it tells -------------------------------------------------------------------------------

DOWN = [check("refused", 0.001, NOW - 20 + 10 * i) for i in range(3)]

TOLD = [
    pytest.param([], ["No targets", "--target HOST:PORT"], id="no target"),
    pytest.param([record("a", [check()])], ["The target is healthy", "for 5 s", "1 of one check"],
                 id="healthy"),
    pytest.param([record("a", [check()]), record("b", [check()])], ["All 2 targets are healthy"],
                 id="all healthy"),
    pytest.param([record("a")], ["The target is unknown", "not checked yet"], id="unknown"),
    pytest.param([record("a", DOWN)],
                 ["The target is unhealthy", "unhealthy: refused", "Nothing listens on that port",
                  "look whether the process runs", "0 of the last 3 checks healthy"],
                 id="unhealthy"),
    pytest.param([record("a", DOWN, kind="proxy")],
                 ["split-proxy opens the port only after its first full sync"], id="of a proxy"),
    pytest.param([record("a", DOWN), record("b", [check()]), record("c", [check()])],
                 ["1 unhealthy, 2 healthy of 3 targets"], id="mixed"),
    pytest.param([record("a", [check("status 500")], thresholds=Thresholds(start_period=60))],
                 ["The target is starting", "1 failure in a row since the start"], id="starting"),
    pytest.param([record("a", [check(), check("timeout", 3.0)])],
                 ["The target is healthy", "1 failure in a row, unhealthy at 3",
                  "raise --timeout"], id="blip"),
    pytest.param([record("a", [*DOWN, check()], thresholds=Thresholds(success=2))],
                 ["The target is unhealthy", "1 success in a row, healthy at 2"], id="rising"),
    pytest.param([record("a", [check(health=HEALTH)])],
                 ["The target is degraded", "Segments: no sync was ever attempted",
                  "https://events.split.example/api/version: down", "wait for the first sync",
                  "Storage no 1 h ago 5", "Segments yes never (stale) 0", "no no route"],
                 id="degraded"),
]  # fmt: skip


@pytest.mark.parametrize(("records", "told"), TOLD)
def test_told(records: list[Record], told: list[str]) -> None:
    text = page(*records).text
    for words in told:
        assert words in text


def test_worst_first() -> None:
    found = page(record("fine", [check()]), record("dead", DOWN), record("new"))
    assert [row["class"] for row in found.all("article")] == ["unhealthy", "unknown", "healthy"]


def test_state_is_shape_and_word() -> None:
    """Who sees no colours reads the state, and sees another shape."""
    shapes = {}
    for state in State:
        one = record("a", [check()])
        one.condition = replace(one.condition, state=state)
        found = page(one, later=1)
        assert f" {state} " in found.text
        shapes[state] = next(row["d"] for row in found.all("path") if row.get("fill-rule"))
    assert len(set(shapes.values())) == len(State)


def test_strip_has_a_bar_for_each_check() -> None:
    """Failures are bars of their own with their line; the newest stands at the right."""
    checks = [check("timeout" if i in {10, 99} else "200", 0.01, NOW - 990 + i * 10)
              for i in range(100)]  # fmt: skip
    found = page(record("a", checks))
    bars = [row for row in found.all("path") if row.get("class") == "bad"]
    assert [row["d"].split()[0] for row in bars] == ["M40", "M396"]
    (good,) = [row["d"] for row in found.all("path") if row.get("class") == "ok"]
    assert good.count("M") == 98
    assert f"{moment(NOW - 890)} unhealthy: timeout" in found.text


def test_maintenance_and_age() -> None:
    one = record("a", [check()])
    one.condition = replace(one.condition, maintenance_until=NOW + 600)
    assert "in maintenance until 2027-01-15T08:10:00Z" in page(one).text
    late = page(one, later=700).text
    assert "in maintenance" not in late
    assert "The last check is too old" in late


def test_many_targets_are_paged() -> None:
    records = [record(f"t{i:03}", [check()]) for i in range(3 * PAGE)]
    first, third = page(*records), page(*records, asked=Asked(page=99))
    assert len(first.all("article")) == len(third.all("article")) == PAGE
    assert "t000" in first.text
    assert "t074" in third.text
    assert {"rel": "next", "href": "/?page=2", "id": "after"} in first.all("a")
    assert not [row for row in third.all("a") if row.get("rel") == "next"]
    some = page(*records, record("bad", DOWN), asked=Asked(State.UNHEALTHY))
    assert len(some.all("article")) == 1


QUERIES = [
    pytest.param({}, Asked(), id="nothing"),
    pytest.param({"state": "degraded", "page": "3"}, Asked(State.DEGRADED, 3), id="both"),
    pytest.param({"state": "<b>", "page": "-1"}, Asked(), id="bad"),
    pytest.param({"page": "0"}, Asked(), id="page 0"),
    pytest.param({"page": "9" * 5000}, Asked(), id="page without end"),
    pytest.param({"page": "\u0663"}, Asked(), id="another alphabet's three"),
]


@pytest.mark.parametrize(("query", "asked"), QUERIES)
def test_query(query: dict[str, str], asked: Asked) -> None:
    assert read_query(query) == asked


# --- what does not get out -----------------------------------------------------------------------

HOSTILE = [
    pytest.param(text, id=f"{index}")
    for index, text in enumerate((
        "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onfocus='alert(1)",
        "</title><script>alert(1)</script>", "</script><script>alert(1)</script>", "&lt;b&gt;",
        "<!--", "]]>", "javascript:alert(1)", "a\0b", "\u202egnp.exe", "\x1b[2J", "<svg/onload=x>",
        "{{7*7}}", "x" * 100_000,
    ))
]  # fmt: skip


def hostile(text: str) -> Record:
    health = Health(
        (ItemHealth(text, healthy=True), ItemHealth(text, healthy=False)),
        (DependencyHealth(text, healthy=False, message=text),),
        ("never-synced", "dependencies-down", text),
    )
    last = replace(check(health=health), reason=text, line=text)
    bad = replace(check("timeout"), reason=text, line=text)
    return record(text, [bad, last, bad, last], {"team": text})


PLAIN = record("plain")
HARMLESS = [tag for tag, _ in page(hostile("harmless"), PLAIN).elements]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """Whatever a name, label, line or body holds: the same elements, and no attribute added."""
    found = page(hostile(text), PLAIN)
    assert [tag for tag, _ in found.elements] == HARMLESS
    for _, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert not re.search("[\0\x1b\u202e]", found.text)
    assert len(found.text) < 20_000
    links = [row["href"] for row in found.all("a")]
    assert all(link.startswith("/") for link in links)


@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    found = page(hostile(f"-{text}"), PLAIN)  # no code of ours
    assert [tag for tag, _ in found.elements] == HARMLESS


def test_ids_are_unique() -> None:
    found = page(*(record(name, [check("timeout")]) for name in ("a", "a ", "A", "x" * 200 + "1",
                   "x" * 200 + "2", "<", "é")))  # fmt: skip
    assert len(set(ids(found))) == len(ids(found))


def test_policy_names_what_is_inline() -> None:
    """Script and style stand as the policy's hashes have them; nothing else may run or load."""
    text = render([hostile("x")], Asked(), Now(NOW, NOW))
    for tag, source in (("script", SCRIPT), ("style", STYLE)):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inline == source
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in POLICY
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY


def outside(found: Page) -> Iterator[str]:
    for _, attributes in found.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            if re.match(r"(?:[a-z]+:)?//", attributes.get(name, "")):
                yield attributes[name]


def test_nothing_from_outside() -> None:
    assert list(outside(page(hostile("https://x.example/a.js"), PLAIN))) == []
    assert "@import" not in STYLE
    assert "url(" not in STYLE


def test_works_without_script() -> None:
    """Without JavaScript the page loads itself anew."""
    found = page(PLAIN)
    assert {"http-equiv": "refresh", "content": "5"} in found.all("meta")


def test_credentials_are_not_shown() -> None:
    one = record("a", [check()])
    target = Target(host="db.example", port=1)
    one.settings = replace(one.settings, target=target)
    assert "http://db.example:1/health/application" in page(one).text


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"),
     (86399, "23 h"), (86400, "1 d"), (1e7, "115 d")],
)  # fmt: skip
def test_span(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("unix", "words"),
    [(0, "1970-01-01T00:00:00Z"), (NOW + 0.9, "2027-01-15T08:00:00Z"),
     (-1e9, "1970-01-01T00:00:00Z"), (1e18, "9999-12-31T23:59:59Z")],
)  # fmt: skip
def test_moment(unix: float, words: str) -> None:
    """A clock that is off by ages makes no page fail."""
    assert moment(unix) == words


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 1))
def test_percentile(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
