import { readFileSync } from 'node:fs';

/** The desk's typeface, embedded because a report is read without the desk. 48 KB. */
const INTER = readFileSync(
  new URL('files/inter-latin-wght-normal.woff2', import.meta.resolve('@fontsource-variable/inter/wght.css')),
  'base64',
);

/** The only style sheet of a report, in the desk's colours and typeface. The page's content security policy names its digest. */
export const REPORT_STYLE = `
@font-face{font-family:"Inter Variable";font-weight:100 900;src:url(data:font/woff2;base64,${INTER}) format("woff2")}
:root{color-scheme:light dark;--paper:light-dark(#eeedea,#111315);--card:light-dark(#fbfaf8,#1a1d20);--ink:light-dark(#191a1c,#eceae6);
--soft:light-dark(#5b5c5f,#a3a8ae);--line:light-dark(#d8d5cf,#2e3338);--faint:light-dark(#e2e0db,#24282c);--accent:light-dark(#1d5fa8,#6fb1f5);
--good:light-dark(#1f6f43,#63c98f);--good-back:light-dark(#e4f2ea,#16281f);--bad:light-dark(#b3261e,#ff8d84);
--bad-back:light-dark(#fbe6e3,#331b1a);--warn:light-dark(#8a5200,#efb04a);--warn-back:light-dark(#fbeed7,#2c2314)}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.55 "Inter Variable",system-ui,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:66rem;margin:0 auto;padding:2.5rem clamp(1rem,4vw,2.5rem) 4rem}
h1,h2,h3,p,dl,dd,figure{margin:0}
h1{font-size:clamp(1.7rem,5vw,2.4rem);line-height:1.15;letter-spacing:-.022em;font-weight:680;margin:.3rem 0 .45rem}
h2{font-size:1.45rem;line-height:1.2;letter-spacing:-.015em;font-weight:660}
h3,.part>h2{font-size:1rem;line-height:1.55;font-weight:650;letter-spacing:-.005em;margin-bottom:.7rem}
code{font:.88em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;overflow-wrap:anywhere}
.soft,.none{color:var(--soft)}
.kicker{font-size:.78rem;font-weight:600;letter-spacing:.09em;text-transform:uppercase;color:var(--accent)}
.verdict{display:inline-block;margin-top:1.1rem;padding:.45rem .85rem;border-radius:.5rem;font-weight:600}
.verdict.good{color:var(--good);background:var(--good-back)}.verdict.bad{color:var(--bad);background:var(--bad-back)}
.verdict.warn{color:var(--warn);background:var(--warn-back)}
.mark{font-weight:600;white-space:nowrap}.mark.good{color:var(--good)}.mark.bad{color:var(--bad)}.mark.warn{color:var(--warn)}
.mark.plain{color:var(--soft);font-weight:400}
.overview{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(18.5rem,100%),1fr));gap:1rem;margin:2rem 0 3rem}
.card{display:flex;flex-direction:column;padding:1.15rem 1.25rem 1.25rem;border:1px solid var(--line);border-radius:.8rem;
background:var(--card);color:inherit;text-decoration:none}
.card:hover{border-color:var(--accent)}.card:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.card-head{display:flex;justify-content:space-between;align-items:baseline;gap:.75rem}
.card-head{flex-wrap:wrap;row-gap:.1rem}.card-head strong{font-size:1.06rem;letter-spacing:-.01em;white-space:nowrap}.card-head .mark{font-size:.86rem}
.track{display:flex;gap:3px;margin-top:.85rem}.track i{flex:1;height:5px;border-radius:3px;background:var(--line)}
.track i.behind{background:var(--accent);opacity:.4}.track i.present{background:var(--accent)}
.phase{margin-top:.35rem;font-size:.86rem;color:var(--soft)}
.numbers{display:grid;grid-template-columns:1fr 1fr;gap:.9rem 1rem;margin:1rem 0 1.1rem}
.numbers b{display:block;font-size:1.32rem;font-weight:620;letter-spacing:-.015em;line-height:1.2}
.numbers small{display:block;font-size:.8rem;line-height:1.35;color:var(--soft)}
.story{font-size:.88rem;margin:.6rem 0 .2rem}
.card .next{margin-top:auto;padding-top:.8rem;border-top:1px solid var(--line);font-size:.88rem;line-height:1.45}
.card .next code{display:block;margin-top:.25rem;color:var(--soft)}
.service{margin-top:1rem;padding-top:1.6rem;scroll-margin-top:1rem}
.service>header{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem .8rem;margin-bottom:.9rem}
.pill{padding:.12rem .65rem;border-radius:1rem;border:1px solid var(--line);font-size:.84rem;color:var(--soft)}
p.next{padding:.8rem 1rem;border-radius:.6rem;background:var(--faint)}
p.next b{margin-right:.35rem}p.next code{overflow-wrap:anywhere}
p.next.bad{background:var(--bad-back)}p.next.warn{background:var(--warn-back)}p.next.good{background:var(--good-back)}
.part{margin-top:1rem;padding:1.2rem 1.25rem 1.3rem;border:1px solid var(--line);border-radius:.8rem;background:var(--card)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(19rem,100%),1fr));gap:0 2.2rem}
dl div{display:flex;justify-content:space-between;align-items:baseline;gap:1rem;padding:.42rem 0;border-bottom:1px solid var(--faint)}
dt{color:var(--soft)}dd{min-width:0;text-align:right;font-weight:540}dd .mark{white-space:normal}
dl+table,dl+.empty,table+table,.empty+.empty,.empty+table,table+.empty,.charts+dl{margin-top:1.1rem}
dl+details,table+details,.empty+details{margin-top:1rem}
table{width:100%;border-collapse:collapse;font-size:.93rem}
th{padding:.3rem .9rem .4rem 0;font-size:.8rem;font-weight:560;color:var(--soft);text-align:left;vertical-align:bottom;border-bottom:1px solid var(--line)}
td{padding:.42rem .9rem .42rem 0;vertical-align:baseline;border-bottom:1px solid var(--faint)}
th:last-child,td:last-child{padding-right:0}tbody tr:last-child td{border-bottom:0}
.number{text-align:right;white-space:nowrap}td.text .mark{white-space:nowrap}td.number+td.text,th.number+th.text{padding-left:1.1rem}
.empty{color:var(--soft)}
.note{margin:1.1rem 0 .2rem;font-weight:620}
.remark+dl{margin-top:1rem}
.remark{margin:.9rem 0 0;font-size:.86rem;color:var(--soft);max-width:46rem}
details{border-top:1px solid var(--line);padding-top:.8rem}
summary{cursor:pointer;color:var(--accent);font-weight:560}summary:focus-visible{outline:2px solid var(--accent);outline-offset:3px;border-radius:3px}
details[open]>summary{margin-bottom:.7rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(17rem,100%),1fr));gap:1.2rem 1.6rem;margin-bottom:1rem}
figcaption{display:flex;justify-content:space-between;gap:1rem;font-size:.88rem;color:var(--soft);margin-bottom:.25rem}
figcaption data{font-weight:600;color:var(--ink)}
svg{display:block;width:100%;height:auto;overflow:visible}
.grid{stroke:var(--line);stroke-width:1}.axis{font-size:12.5px;fill:var(--soft)}.axis.y{text-anchor:end}.axis.x{text-anchor:middle}
svg .none{font-size:14px;fill:var(--soft);text-anchor:middle}
svg .mark line{stroke-width:1.5;stroke-dasharray:3 2}svg .mark text{font-size:11px;text-anchor:middle}
.trip line{stroke:var(--bad)}.trip text{fill:var(--bad)}.flag line{stroke:var(--warn)}.flag text{fill:var(--warn)}.release line{stroke:var(--good)}.release text{fill:var(--good)}
.accent rect{fill:var(--accent)}.bad rect{fill:var(--bad)}.soft rect{fill:var(--soft)}
footer{margin-top:2.5rem;padding-top:1.2rem;border-top:1px solid var(--line);font-size:.86rem;color:var(--soft);max-width:46rem}
@media (max-width:40rem){
main{padding-top:1.6rem}.part{padding:1rem}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,tbody{display:block}
tbody tr{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.1rem 1.4rem;padding:.6rem 0;border-bottom:1px solid var(--line)}
tbody tr:last-child{border-bottom:0;padding-bottom:0}
td,td.number+td.text{display:flex;justify-content:space-between;align-items:baseline;gap:.6rem;padding:.05rem 0;border:0;text-align:right}
td.number,td.text .mark{white-space:normal}
td::before{content:attr(data-head);color:var(--soft);font-size:.86rem;text-align:left}
td:first-child{grid-column:1/-1;text-align:left;font-weight:600}td:first-child::before{display:none}
dl div{gap:.8rem}
}
@media print{
@page{size:A4;margin:12mm 11mm}
:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#555;--line:#ccc;--faint:#e8e8e8;--accent:#245f86;--good:#1d5c3c;--bad:#9b1c12;--warn:#6b4d05;
--good-back:#fff;--bad-back:#fff;--warn-back:#fff}
body{font-size:8pt;line-height:1.35}main{max-width:none;padding:0}
h2{font-size:13pt}h3,.part>h2{font-size:9pt;margin-bottom:.25rem;break-after:avoid}
.overview{margin:1rem 0;grid-template-columns:repeat(3,1fr);font-size:7.5pt}.card{padding:.6rem .7rem}.verdict,p.next{border:1px solid var(--line)}p.next{padding:.35rem .5rem}
.service{break-before:page;padding-top:0;margin-top:0;columns:2;column-gap:7mm}
.service>header,.service>p.next,.part:has(th:nth-child(5)),.part:has(.charts){column-span:all}
.part{padding:.4rem 0 .5rem;margin-top:.35rem;border:0;border-top:1px solid var(--line);border-radius:0}
dl{grid-template-columns:1fr}.part:has(th:nth-child(5)) dl,.part:has(.charts) dl{grid-template-columns:repeat(3,1fr);gap:0 1.4rem}
.charts{grid-template-columns:repeat(4,1fr);gap:.4rem 1rem}
table{font-size:7.5pt}th{font-size:7pt}td,th,dl div{padding-top:.1rem;padding-bottom:.1rem}
dl+table,dl+.empty,table+table,.empty+.empty,.empty+table,table+.empty,.charts+dl,dl+details,table+details{margin-top:.4rem}
tr,figure,dl div,.card{break-inside:avoid}
details:not([open]){display:none}summary{color:inherit;list-style:none}
}
`;
