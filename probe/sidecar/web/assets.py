"""What the status page is dressed in: its style, its script, and the policy that lets in no other.

Both stand inline, by their hashes: the page needs nothing from anywhere.
"""

import base64
import hashlib

from probe.sidecar.states import State

# A shape of its own for each state, on a field of 20 by 20: not colour alone tells them apart.
SHAPES = {
    State.HEALTHY: "M10 1a9 9 0 1 0 0 18a9 9 0 0 0 0-18z"
    "m4.8 6.6-5.9 6.6L5 10.9l1.4-1.6 2.4 2.1 4.5-5.1z",
    State.DEGRADED: "M10 1.2 19.6 18H.4zM9 7v5.5h2V7zm0 7v2h2v-2z",
    State.UNHEALTHY: "M6.3 1h7.4L19 6.3v7.4L13.7 19H6.3L1 13.7V6.3z"
    "M7 5.6 5.6 7l3 3-3 3L7 14.4l3-3 3 3 1.4-1.4-3-3 3-3L13 5.6l-3 3z",
    State.STARTING: "M4 1h12v2c0 3-2 5-4.3 7C14 12 16 14 16 17v2H4v-2c0-3 2-5 4.3-7C6 8 4 6 4 3z",
    State.UNKNOWN: "M10 1a9 9 0 1 0 0 18a9 9 0 0 0 0-18z"
    "m0 2a7 7 0 1 1 0 14a7 7 0 0 1 0-14zM6 9v2h8V9z",
}

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f4f5f7; --card: #ffffff; --line: #dcdfe4; --text: #1b1f24; --soft: #586069;
  --healthy: #0a7440; --degraded: #8a5300; --unhealthy: #b3261e; --starting: #1f5fbf;
  --unknown: #586069; --bar: #5aa981; --accent: #1f5fbf;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0e1216; --card: #171d23; --line: #2b343d; --text: #e7ebef; --soft: #9aa6b2;
    --healthy: #56c795; --degraded: #f0b449; --unhealthy: #ff8a80; --starting: #8ab8ff;
    --unknown: #a8b3be; --bar: #3f8f69; --accent: #8ab8ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 66rem; background: var(--ground);
  color: var(--text); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
  overflow-wrap: anywhere;
}
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline;
  justify-content: space-between; margin-bottom: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; letter-spacing: -.01em; }
header p { margin: 0; color: var(--soft); font-size: .875rem; }
nav { display: flex; flex-wrap: wrap; gap: .5rem; margin-bottom: 1rem; }
nav a { display: inline-flex; align-items: center; gap: .4rem; padding: .3rem .75rem;
  border: 1px solid var(--line); border-radius: 99px; background: var(--card);
  color: var(--text); text-decoration: none; font-size: .875rem; }
nav a[aria-current] { border-color: var(--text); box-shadow: inset 0 0 0 1px var(--text); }
article { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 1rem 1.25rem; margin-bottom: .75rem; display: grid; gap: .5rem 2rem;
  grid-template-columns: minmax(0, 1fr) minmax(0, 22rem); }
article.unhealthy { border-color: var(--unhealthy); }
article.degraded { border-color: var(--degraded); }
h2 { font-size: 1.125rem; line-height: 1.4; margin: 0; }
.where { color: var(--soft); font-size: .875rem; margin: 0; }
.state { display: flex; align-items: center; gap: .5rem; margin: 0; font-weight: 600; }
.state time, .state .soft { font-weight: 400; color: var(--soft); font-size: .875rem; }
svg.shape { width: 1.25em; height: 1.25em; flex: none; fill: currentColor; }
.healthy > .state > b, .shape.healthy { color: var(--healthy); }
.degraded > .state > b, .shape.degraded { color: var(--degraded); }
.unhealthy > .state > b, .shape.unhealthy { color: var(--unhealthy); }
.starting > .state > b, .shape.starting { color: var(--starting); }
.unknown > .state > b, .shape.unknown { color: var(--unknown); }
.who { display: grid; gap: .15rem; align-content: start; }
.labels { display: flex; flex-wrap: wrap; gap: .35rem; margin: .25rem 0 0; padding: 0;
  list-style: none; font-size: .8125rem; }
.labels li { border: 1px solid var(--line); border-radius: 6px; padding: 0 .4rem;
  color: var(--soft); }
.labels li.held { color: var(--text); border-style: dashed; border-color: var(--soft); }
.strip { width: 100%; height: 3rem; display: block; }
.strip .ok { fill: var(--bar); }
.strip .bad { fill: var(--unhealthy); }
.strip .base { stroke: var(--line); stroke-width: 1; }
figure { margin: 0; }
figcaption { color: var(--soft); font-size: .8125rem; display: flex; flex-wrap: wrap;
  justify-content: space-between; gap: 0 1rem; font-variant-numeric: tabular-nums; }
.notes { grid-column: 1 / -1; display: grid; gap: .5rem; }
.note { margin: 0; border-left: 3px solid var(--line); padding-left: .75rem; }
.unhealthy .note { border-color: var(--unhealthy); }
.degraded .note { border-color: var(--degraded); }
.note code { font: .875em ui-monospace, SFMono-Regular, Menlo, monospace; }
.note .todo { display: block; }
.note .todo::before { content: "What to do: "; color: var(--soft); }
details { grid-column: 1 / -1; font-size: .875rem; }
summary { cursor: pointer; color: var(--accent); width: fit-content; }
table.wide { grid-column: 1 / -1; }
.tables { display: grid; gap: .5rem 2rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
table { border-collapse: collapse; width: 100%; margin-top: .5rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-top: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 400; }
th time, .wide td:last-child { white-space: nowrap; }
.wide td:nth-child(2) { width: 99%; }
thead th { color: var(--soft); border: 0; }
.no { color: var(--unhealthy); font-weight: 600; }
.late { color: var(--degraded); font-weight: 600; }
footer { color: var(--soft); font-size: .8125rem; margin-top: 1.5rem; display: flex;
  flex-wrap: wrap; gap: .25rem 1.25rem; }
.empty { background: var(--card); border: 1px dashed var(--line); border-radius: 12px;
  padding: 2rem; text-align: center; }
#silent { border: 1px solid var(--unhealthy); color: var(--unhealthy); background: var(--card);
  border-radius: 12px; padding: .6rem 1rem; margin: 0 0 1rem; }
@media (max-width: 46rem) {
  body { padding: 1rem .75rem 2rem; }
  article { grid-template-columns: minmax(0, 1fr); padding: .9rem 1rem; }
  h1 { font-size: 1.35rem; }
}
""".strip()

SCRIPT = """
(() => {
  const every = 3000;
  const silent = document.getElementById("silent");
  const selecting = () => getSelection().type === "Range";
  const opened = () => [...document.querySelectorAll("details[open]")].map((e) => e.id);
  const put = (page) => {
    const ids = opened();
    const focus = document.activeElement && document.activeElement.id;
    const fresh = page.querySelector("main");
    for (const id of ids) {
      const details = fresh.querySelector("#" + CSS.escape(id));
      if (details) details.open = true;
    }
    document.querySelector("main").replaceWith(document.adoptNode(fresh));
    if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
    for (const id of ["summary", "updated"]) {
      const [here, there] = [document, page].map((d) => d.getElementById(id));
      if (here.textContent !== there.textContent) here.textContent = there.textContent;
    }
    document.title = page.title;
  };
  const refresh = async () => {
    try {
      const answer = await fetch(location.href, { signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!selecting()) put(page);
      silent.hidden = true;
    } catch {
      silent.hidden = false;
    }
  };
  const turn = async () => {
    if (!document.hidden) await refresh();
    setTimeout(turn, every);
  };
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  setTimeout(turn, every);
})();
""".strip()


def _source(text: str) -> str:
    """Return how a policy names the inline *text*: CSP Level 3, 2.3.1."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_source(STYLE)}",
        f"script-src {_source(SCRIPT)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
