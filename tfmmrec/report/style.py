"""The style sheet of the report: by day and by night, on paper, on a phone."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f6f5f1; --card: #fffefb; --ink: #1c1e24; --muted: #666b76; --line: #e2dfd6;
  --accent: #3547c9; --second: #c2571a; --third: #0c8177; --soft: #c4c7d4;
  --good: #17743f; --cold: #9a5200; --blank: #eceae3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131519; --card: #1b1e24; --ink: #eceef3; --muted: #a0a6b3; --line: #2d313b;
    --accent: #93a1ff; --second: #f0a066; --third: #5ccabd; --soft: #4a5062;
    --good: #6fd59f; --cold: #f3b562; --blank: #262a32;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 68rem; margin: 0 auto; padding: clamp(1.25rem, 4vw, 3.5rem) clamp(1rem, 4vw, 2.5rem); }
h1, h2, h3, h4, p, figure, dl, dd, ol, ul { margin: 0; padding: 0; }
h1 { font-size: clamp(1.9rem, 5vw, 3rem); line-height: 1.1; letter-spacing: -0.025em; overflow-wrap: anywhere; }
h1 span { color: var(--muted); font-weight: 400; }
h2 { font-size: 1.5rem; letter-spacing: -0.015em; line-height: 1.2; }
h3 { font-size: 1.05rem; margin-top: 2rem; }
h4 { font-size: 0.82rem; font-weight: 600; color: var(--muted); margin: 0.9rem 0 0.4rem; }
section { margin-top: clamp(2.75rem, 6vw, 4.5rem); }
.eyebrow { color: var(--accent); font-weight: 600; font-size: 0.85rem; margin-bottom: 0.5rem; }
.lead { color: var(--muted); max-width: 46rem; margin-top: 0.6rem; }
.facts, footer { color: var(--muted); font-size: 0.88rem; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--line); }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.9rem; margin-top: 1.6rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1rem 1.15rem; }
.tile .label { font-size: 0.88rem; color: var(--muted); }
.tile .number { font-size: 2.3rem; font-weight: 650; line-height: 1.15; letter-spacing: -0.03em; }
.tile .note { font-size: 0.85rem; color: var(--muted); }
.number, td, .sub { font-variant-numeric: tabular-nums; }

dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 0.9rem 1.6rem; }
dl { margin-top: 1.8rem; font-size: 0.92rem; }
dt { color: var(--muted); font-size: 0.82rem; }
dd { overflow-wrap: anywhere; }

.scroll {
  overflow-x: auto; margin-top: 1.2rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 14px;
}
.flush { margin-top: 0; }
.narrow { width: fit-content; max-width: 100%; }
table { border-collapse: collapse; width: 100%; font-size: 0.93rem; }
th, td { padding: 0.5rem 0.9rem; text-align: right; white-space: nowrap; vertical-align: top; }
tbody tr { border-top: 1px solid var(--line); }
thead th { font-weight: 500; color: var(--muted); font-size: 0.82rem; padding-block: 0.35rem; }
thead th.group { color: var(--ink); font-weight: 600; font-size: 0.93rem; text-align: left; padding-top: 0.7rem; }
thead th.left { text-align: left; }
.group, .first { border-left: 1px solid var(--line); }
tbody th { text-align: left; font-weight: 500; position: sticky; left: 0; background: var(--card); }
tr.mine th, tr.mine td, td.mine { color: var(--accent); font-weight: 600; }
tr.oracle th, tr.oracle td { color: var(--muted); }
td.best { font-weight: 700; }
.sub { display: block; font-size: 0.78rem; font-weight: 400; color: var(--muted); }
details { border-top: 1px solid var(--line); padding: 0.55rem 0; }
h3 + details, h3 + article { margin-top: 0.6rem; }
details:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; font-weight: 500; }
summary span { color: var(--muted); font-weight: 400; font-size: 0.88rem; margin-left: 0.3rem; }
.notes { margin: 1rem 0 0; padding-left: 1.1rem; color: var(--muted); font-size: 0.88rem; overflow-wrap: anywhere; }

.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 0.9rem; }
.plots { margin-top: 1.2rem; align-items: start; }
figure { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1rem 1.1rem; }
figcaption { font-weight: 600; font-size: 0.93rem; margin-bottom: 0.5rem; }
figure svg { display: block; width: 100%; max-width: 28rem; height: auto; stroke-linejoin: round; }
figure svg text { font-family: inherit; }

.examples { display: grid; gap: 0.9rem; margin-top: 1.2rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.1rem 1.2rem; }
article h3 { margin: 0; overflow-wrap: anywhere; }
.strip { list-style: none; display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); gap: 0.7rem; }
.strip li { min-width: 0; font-size: 0.78rem; line-height: 1.3; }
.frame {
  position: relative; aspect-ratio: var(--shape); border-radius: 8px; overflow: hidden; background: var(--blank);
  display: grid; place-items: center; margin-bottom: 0.35rem;
}
.frame img { width: 100%; height: 100%; object-fit: contain; display: block; }
.blank { color: var(--muted); font-size: 0.72rem; }
.hit .frame { outline: 3px solid var(--good); outline-offset: 1px; }
.mark {
  display: inline-block; font-size: 0.7rem; font-weight: 650; line-height: 1; padding: 0.22rem 0.4rem;
  border-radius: 99px; background: var(--card); margin-right: 0.3rem;
}
.frame .mark { position: absolute; top: 0.3rem; margin: 0; box-shadow: 0 0 0 1px var(--line); }
.mark.hit { color: var(--good); left: 0.3rem; }
.mark.cold { color: var(--cold); right: 0.3rem; }
.title, .also { display: -webkit-box; -webkit-box-orient: vertical; overflow: hidden; overflow-wrap: anywhere; }
.title { -webkit-line-clamp: 2; }
.also { -webkit-line-clamp: 2; color: var(--muted); }
.bare { grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 0.4rem 0.9rem; }
.bare li { font-size: 0.88rem; padding: 0.35rem 0.6rem; border-left: 3px solid var(--line); }
.bare li.hit { border-color: var(--good); }
.bare .mark { border: 1px solid currentColor; padding: 0.15rem 0.4rem; margin-bottom: 0.15rem; }
@media (max-width: 46rem) {
  .strip:not(.bare) { grid-template-columns: repeat(4, minmax(0, 1fr)); }
  .strip { gap: 0.55rem; }
  .strip li { font-size: 0.74rem; }
  article, figure, .tile { padding: 0.8rem 0.9rem; }
  table { font-size: 0.86rem; }
  th, td { padding-inline: 0.55rem; }
  tbody th, .group { white-space: normal; }
}
@media print {
  body { background: none; font-size: 11px; }
  figure, article, .tile { break-inside: avoid; }
}
"""
