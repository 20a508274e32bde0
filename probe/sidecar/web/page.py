"""The status page as text, made of what the store holds. Pure: no clock, no I/O.

Whatever comes from outside (names, labels, lines, services, messages) passes `_text`. Without
JavaScript the page loads itself anew; with it only what has changed is put in place.
"""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from html import escape

from probe.sidecar.metrics import MOST_ROWS
from probe.sidecar.states import State
from probe.sidecar.store import KEPT
from probe.sidecar.store import Check
from probe.sidecar.store import DependencyHealth
from probe.sidecar.store import Health
from probe.sidecar.store import ItemHealth
from probe.sidecar.store import Record
from probe.sidecar.web import words
from probe.sidecar.web.assets import SCRIPT
from probe.sidecar.web.assets import SHAPES
from probe.sidecar.web.assets import STYLE
from probe.synchronizer.meaning import Note

PAGE = 25
"""Targets on one page: what is drawn while a check waits stays short."""

MOST_FAILURES = 10
"""Failures that are listed under a target."""

LONGEST = 300
"""Characters of one text from outside."""

_WORST_FIRST = (
    State.UNHEALTHY,
    State.DEGRADED,
    State.STARTING,
    State.UNKNOWN,
    State.HEALTHY,
)

_WIDTH, _HEIGHT = 400, 48


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of the targets is shown: all or those in one state, and which page of them."""

    state: State | None = None
    page: int = 1


@dataclass(frozen=True, slots=True)
class Now:
    """The two clocks: UNIX time, and the monotonic one that ages are taken of."""

    wall: float
    monotonic: float


def read_query(query: Mapping[str, str]) -> Asked:
    """Return what `?state=...&page=...` asks for; what is not valid is as if not there."""
    state, page = query.get("state", ""), query.get("page", "")
    return Asked(
        State(state) if state in {one.value for one in State} else None,
        int(page) if page.isascii() and page.isdigit() and len(page) < 7 and int(page) else 1,  # noqa: PLR2004
    )


def render(records: Sequence[Record], asked: Asked, now: Now) -> str:
    """Return the page."""
    counts = Counter(record.condition.state for record in records)
    title = _summary(counts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<noscript><meta http-equiv="refresh" content="5"></noscript>\n'
        f'<link rel="icon" href="{_icon(counts)}">\n'
        f"<title>{title} - probe</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><h1 id="summary" role="status">{title}</h1>'
        f'<p>as of <span id="updated">{words.moment(now.wall)}</span></p></header>\n'
        '<p id="silent" role="alert" hidden>The sidecar does not answer: what stands here may be'
        " out of date.</p>\n"
        f"<main>\n{''.join(_main(records, counts, asked, now))}</main>\n"
        '<footer><a href="/metrics">metrics</a><a href="/api/v1/targets">JSON</a>'
        "<span>probe sidecar</span></footer>\n"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _text(value: str) -> str:
    """Make any text harmless in HTML: no markup, nothing invisible, of bounded length."""
    shown = value if len(value) <= LONGEST else f"{value[:LONGEST]}..."
    return escape("".join(c if c.isprintable() else "\ufffd" for c in shown))


def _summary(counts: Counter[State]) -> str:
    total = counts.total()
    if not total:
        return "No targets"
    if counts[State.HEALTHY] == total:
        return "The target is healthy" if total == 1 else f"All {total} targets are healthy"
    if total == 1:
        return f"The target is {next(iter(counts))}"
    told = [f"{counts[state]} {state}" for state in _WORST_FIRST if counts[state]]
    bad = counts[State.UNHEALTHY] + counts[State.DEGRADED]
    return f"{', '.join(told[:2] if bad else told)} of {total} targets"


def _icon(counts: Counter[State]) -> str:
    """Return the worst state's shape as an address that holds the picture itself."""
    state = next((one for one in _WORST_FIRST if counts[one]), State.UNKNOWN)
    colour = {State.HEALTHY: "1b9e60", State.DEGRADED: "d08a00", State.UNHEALTHY: "d0342c"}
    picture = (
        "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 20 20'%3E"
        f"%3Cpath fill-rule='evenodd' fill='%23{colour.get(state, '6b7480')}'"
        f" d='{SHAPES[state]}'/%3E%3C/svg%3E"
    )
    return f"data:image/svg+xml,{picture}"


def _main(
    records: Sequence[Record], counts: Counter[State], asked: Asked, now: Now
) -> Iterator[str]:
    if not records:
        yield '<p class="empty">No target is configured: give <code>--target HOST:PORT</code> or a'
        yield " <code>--config</code> file.</p>\n"
        return
    if len(records) > 1:
        yield from _filters(counts, asked)
    order = {state: index for index, state in enumerate(_WORST_FIRST)}
    chosen = sorted(
        (one for one in records if asked.state in {None, one.condition.state}),
        key=lambda one: order[one.condition.state],
    )
    pages = max(1, -(-len(chosen) // PAGE))
    page = min(asked.page, pages)
    for record in chosen[(page - 1) * PAGE : page * PAGE]:
        yield from _article(record, now)
    if not chosen:
        yield f'<p class="empty">No target is {asked.state}.</p>\n'
    if pages > 1:
        yield from _pages(page, pages, asked)


def _filters(counts: Counter[State], asked: Asked) -> Iterator[str]:
    yield '<nav aria-label="States">'
    current = "" if asked.state else ' aria-current="page"'
    yield f'<a id="all" href="/"{current}>all {counts.total()}</a>'
    for state in _WORST_FIRST:
        if counts[state] or asked.state is state:
            current = ' aria-current="page"' if asked.state is state else ""
            yield f'<a id="only-{state}" href="/?state={state}"{current}>'
            yield f"{_shape(state)}{state} {counts[state]}</a>"
    yield "</nav>\n"


def _pages(page: int, pages: int, asked: Asked) -> Iterator[str]:
    state = f"state={asked.state}&amp;" if asked.state else ""
    yield '<nav aria-label="Pages">'
    if page > 1:
        yield f'<a id="before" rel="prev" href="/?{state}page={page - 1}">page {page - 1}</a>'
    yield f'<a id="here" aria-current="page" href="/?{state}page={page}">page {page} of {pages}</a>'
    if page < pages:
        yield f'<a id="after" rel="next" href="/?{state}page={page + 1}">page {page + 1}</a>'
    yield "</nav>\n"


def _shape(state: State) -> str:
    path = f'<path fill-rule="evenodd" d="{SHAPES[state]}"/>'
    return f'<svg class="shape {state}" viewBox="0 0 20 20" aria-hidden="true">{path}</svg>'


def _article(record: Record, now: Now) -> Iterator[str]:
    settings, state = record.settings, record.condition.state
    target = settings.target
    scheme = "https" if target.tls else "http"
    yield f'<article class="{state}">\n'
    yield f'<div class="who {state}"><h2><bdi>{_text(settings.name)}</bdi></h2>'
    yield f'<p class="where">{scheme}://{_text(target.authority + target.path)}</p>'
    yield f'<p class="state">{_shape(state)}<b>{state}</b>{_since(record, now)}</p>'
    yield from _labels(record, now)
    yield "</div>\n"
    yield from _history(record)
    yield from _notes(record, now)
    yield from _details(record, now)
    yield "</article>\n"


def _since(record: Record, now: Now) -> str:
    if record.condition.state is State.UNKNOWN:
        return ""
    at = words.moment(record.condition.since)
    ago = words.span(now.wall - record.condition.since)
    return f'<time datetime="{at}" title="since {at}">for {ago}</time>'


def _labels(record: Record, now: Now) -> Iterator[str]:
    told = [
        f"<li><bdi>{_text(f'{name}={value}')}</bdi></li>"
        for name, value in record.settings.labels.items()
    ]
    until = record.condition.maintenance_until
    if until is not None and record.condition.in_maintenance(now.wall):
        told.append(f'<li class="held">in maintenance until {words.moment(until)}</li>')
    if told:
        yield f'<ul class="labels">{"".join(told)}</ul>'


def _history(record: Record) -> Iterator[str]:
    checks = list(record.history)
    if not checks:
        return
    good = [check.seconds for check in checks if check.healthy]
    of = f"the last {len(checks)} checks" if len(checks) > 1 else "one check"
    told = f"{len(good)} of {of} healthy"
    yield f"<figure>{_strip(checks, told)}<figcaption><span>{told}</span>"
    if good:
        half, most = (words.milliseconds(words.percentile(good, share)) for share in (0.5, 0.95))
        yield f"<span>p50 {half}, p95 {most}</span>"
    yield "</figcaption></figure>\n"


def _strip(checks: Sequence[Check], told: str) -> str:
    """Draw a bar for each check, the newest at the right, as high as it took long.

    What failed goes all the way up and begins below the ground, so that colour alone tells nothing.
    """
    step = _WIDTH / KEPT
    left = _WIDTH - len(checks) * step
    slowest = max((check.seconds for check in checks if check.healthy), default=0.0) or 1.0
    ground = _HEIGHT - 8
    good, bad = [], []
    for index, check in enumerate(checks):
        x = f"{left + index * step:g}"
        if check.healthy:
            height = 4 + check.seconds / slowest * (ground - 10)
            good.append(f"M{x} {ground}v-{height:.1f}h3v{height:.1f}z")
        else:
            bad.append(
                f'<path class="bad" d="M{x} {_HEIGHT}v-{_HEIGHT}h3v{_HEIGHT}z">'
                f"<title>{words.moment(check.started)} {_text(check.line)}</title></path>"
            )
    return (
        f'<svg class="strip" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{told}"><path class="base" d="M0 {ground + 0.5}h{_WIDTH}"/>'
        f'<path class="ok" d="{"".join(good)}"/>{"".join(bad)}</svg>'
    )


def _notes(record: Record, now: Now) -> Iterator[str]:
    fresh = record.fresh(now.monotonic)
    told = [_note(note) for note in words.notes(record, fresh=fresh)]
    if record.last is not None and not record.last.healthy:
        line = f"<code>{_text(record.last.line)}</code>"
        told.insert(0, f'<p class="note">{line}</p>')
    if progress := words.progress(record):
        told.append(f'<p class="note">{progress}</p>')
    if told:
        yield f'<div class="notes">{"".join(told)}</div>\n'


def _note(note: Note) -> str:
    todo = f'<span class="todo">{_text(note.todo)}</span>' if note.todo else ""
    return f'<p class="note">{_text(_sentence(note.means))}{todo}</p>'


def _sentence(text: str) -> str:
    """Make a sentence of a note, whose first word may be a name that is not ours to change."""
    first = text.partition(" ")[0]
    return f"{text[:1].upper()}{text[1:]}." if first.isalpha() else f"{text}."


def _details(record: Record, now: Now) -> Iterator[str]:
    health = record.last.health if record.last else None
    tables = [*_health_tables(health, now), *_failures(record, now)]
    if not tables:
        return
    name = f"d-{blake2b(record.settings.name.encode(), digest_size=8).hexdigest()}"
    yield f'<details id="{name}"><summary id="{name}-s">{_offered(health, record)}</summary>'
    yield f'<div class="tables">{"".join(tables)}</div></details>\n'


def _offered(health: Health | None, record: Record) -> str:
    parts = [
        ("items", bool(health and health.items)),
        ("dependencies", bool(health and health.dependencies)),
        ("last failures", bool(record.failures)),
    ]
    return ", ".join(name for name, there in parts if there).capitalize()


def _health_tables(health: Health | None, now: Now) -> Iterator[str]:
    if health and health.items:
        rows = (_item(item, now) for item in health.items[:MOST_ROWS])
        yield _table("Items", ("item", "healthy", "last attempt", "errors"), rows)
    if health and health.dependencies:
        rows = (_dependency(row) for row in health.dependencies[:MOST_ROWS])
        yield _table("Dependencies", ("service", "reached"), rows)


def _item(item: ItemHealth, now: Now) -> str:
    hit = item.last_hit
    when = "never" if hit is None else f"{words.span(now.wall - hit)} ago"
    mark = ' class="late"' if item.stale or hit is None else ""
    late = " (stale)" if item.stale else ""
    return _row(_text(item.name), _yes(item.healthy), f"<span{mark}>{when}{late}</span>",
                str(item.errors))  # fmt: skip


def _dependency(row: DependencyHealth) -> str:
    said = f" {_text(row.message)}" if row.message and not row.healthy else ""
    return _row(_text(row.service), _yes(row.healthy) + said)


def _yes(told: bool) -> str:  # noqa: FBT001 # it is what is told
    return "yes" if told else '<span class="no">no</span>'


def _failures(record: Record, now: Now) -> Iterator[str]:
    last = list(record.failures)[-MOST_FAILURES:]
    if last:
        rows = (
            _row(
                f'<time datetime="{words.moment(check.started)}">'
                f"{words.span(now.wall - check.started)} ago</time>",
                _text(check.line),
                words.milliseconds(check.seconds),
            )
            for check in reversed(last)
        )
        yield _table("Last failures", ("when", "line", "took"), rows, ' class="wide"')


def _table(caption: str, heads: Iterable[str], rows: Iterable[str], attributes: str = "") -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        f"<table{attributes}><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(first: str, *rest: str) -> str:
    cells = "".join(f"<td>{cell}</td>" for cell in rest)
    return f'<tr><th scope="row"><bdi>{first}</bdi></th>{cells}</tr>'
