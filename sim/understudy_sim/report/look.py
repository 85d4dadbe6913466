"""How a report looks: light or dark as the reader's system has it, and on paper."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--page:#fbfbfa;--card:#fff;--ink:#1d2125;--dim:#646b73;--rule:#e3e5e8;
--ok:#3f9c6b;--degraded:#d9a53c;--failed:#c8423b;--cancelled:#9aa1a9;--fault:#c8423b1c;
--faultink:#a03731;--p0:#3a72b5;--p1:#e0873a;--p2:#4a9d7f;--p3:#9a6bb5;--p4:#c45a7c;--p5:#8a7a4f;
--p6:#4aa3b8;--p7:#77808a;--q50:#3a72b5;--q95:#e0873a;--q99:#c8423b;--closed:#cfe6d9;
--open:#c8423b;--half:#e5b04a;--held:#8f79c9;--other:#777e86}
@media(prefers-color-scheme:dark){:root{--page:#15181b;--card:#1c2024;--ink:#e6e8ea;--dim:#9aa2aa;
--rule:#30363c;--ok:#49a878;--degraded:#d5a443;--failed:#e2615a;--cancelled:#707881;
--fault:#e2615a26;--faultink:#f0938d;--p0:#5b95d8;--p1:#e79a55;--p2:#5cb595;--p3:#b48bd0;
--p4:#dc7b9b;--p5:#b3a273;--p6:#66bfd3;--p7:#98a1ab;--q50:#5b95d8;--q95:#e79a55;--q99:#e2615a;
--closed:#2c4a3a;--open:#e2615a;--half:#e0b050;--held:#a08cdc;--other:#8d959d}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 24px 48px}
h1{font-size:26px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:15px;margin:0;font-weight:600}
p{margin:0}.about{max-width:75ch}.meta{color:var(--dim);margin-top:6px;font-size:13px}
header{margin-bottom:14px}
.verdict{margin:18px 0 14px;padding:8px 14px;border-radius:8px;border:1px solid var(--rule);
border-left:4px solid var(--ok);background:var(--card);font-size:14px}
.verdict.bad{border-left-color:var(--failed)}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin:14px 0 18px}
.tiles div,figure,section,details{background:var(--card);border:1px solid var(--rule);
border-radius:8px}
.tiles div{padding:10px 14px}.tiles dt{color:var(--dim);font-size:13px}
.tiles dd{margin:0;font-size:24px;line-height:1.25;font-weight:600;
font-variant-numeric:tabular-nums}
.tiles small{color:var(--dim);font-size:12px}
figure,section{margin:0 0 14px;padding:12px 14px}
figcaption{display:flex;justify-content:space-between;flex-wrap:wrap;gap:4px 16px;margin-bottom:4px}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:13px;color:var(--dim)}
.key{display:inline-flex;align-items:center;gap:6px}
.note{color:var(--dim);font-size:12px;padding-left:2px}
figure>svg{display:block;width:100%;height:auto}
.grid{stroke:var(--rule);stroke-width:1}
.tick{fill:var(--dim);font-size:11px;font-variant-numeric:tabular-nums}
.end{text-anchor:end}.mid{text-anchor:middle}
.scope{fill:var(--ink);font-size:11px}
.fault{fill:var(--fault)}
.edge{stroke:var(--faultink);stroke-width:1;stroke-dasharray:3 3}
.fault-name{fill:var(--faultink);font-size:11px;font-weight:600;
paint-order:stroke;stroke:var(--card);stroke-width:3px;stroke-linejoin:round}
.tip{fill:transparent}.tip:hover{fill:var(--ink);fill-opacity:.07}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.p50{stroke:var(--q50)}.p95{stroke:var(--q95)}.p99{stroke:var(--q99)}.calls{stroke:var(--q50)}.lost{stroke:var(--failed)}
.dot{stroke-width:2;fill:var(--card)}
.ok{fill:var(--ok)}.degraded{fill:var(--degraded)}.failed{fill:var(--failed)}
.cancelled{fill:var(--cancelled)}
.p0{fill:var(--p0)}.p1{fill:var(--p1)}.p2{fill:var(--p2)}.p3{fill:var(--p3)}
.p4{fill:var(--p4)}.p5{fill:var(--p5)}.p6{fill:var(--p6)}.p7{fill:var(--p7)}
.closed{fill:var(--closed)}.open{fill:var(--open)}.half-open{fill:var(--half)}
.held{fill:var(--held)}.other{fill:var(--other)}
.outer{fill:var(--q50);fill-opacity:.18}.inner{fill:var(--q50);fill-opacity:.36}
.middle{stroke:var(--q50)}.seed{fill:var(--ink);fill-opacity:.45}.zero{stroke:var(--dim);stroke-width:1}
.whisker{stroke:var(--dim);stroke-width:2}.mean{fill:var(--dim)}.clear.whisker{stroke:var(--q50)}
.clear.mean{fill:var(--q50)}
a{color:inherit}.worst th,.worst td{background:var(--fault)}
pre{margin:6px 0 0;overflow-x:auto;font-size:13px}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;margin-top:6px}
th,td{text-align:left;padding:3px 16px 3px 0;border-bottom:1px solid var(--rule);
vertical-align:top}
thead th{color:var(--dim);font-weight:500;white-space:nowrap}tbody th{font-weight:500}
details{margin:0 0 10px;padding:8px 14px}summary{cursor:pointer;font-weight:600}
footer{color:var(--dim);font-size:12px;margin-top:18px}
footer dl{display:grid;grid-template-columns:max-content 1fr;gap:0 12px;margin:4px 0 0}
footer dd{margin:0;overflow-wrap:anywhere}
@media(max-width:720px){.tiles{grid-template-columns:repeat(2,1fr)}main{padding:16px 12px}}
@media print{body{background:#fff}figure,section,.tiles div{break-inside:avoid}}
"""
"""One style sheet, inline. Nothing in it refers to anything outside."""
