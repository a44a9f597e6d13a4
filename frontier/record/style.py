"""How the record looks: on screen, and on one page of A4 or Letter, whichever the printer has."""

STYLE = """
@page { margin: 9mm 12mm; }
* { box-sizing: border-box; }
body { font: 8.5pt/1.3 Arial, "Liberation Sans", Helvetica, "DejaVu Sans Condensed",
  sans-serif; color: #1a1a1a;
  background: #fff; max-width: 186mm; margin: 0 auto; padding: 6mm 0;
  font-variant-numeric: tabular-nums; -webkit-print-color-adjust: exact;
  print-color-adjust: exact; }
@media print { body { padding: 0; } }
h1 { font-size: 13.5pt; line-height: 1.2; margin: 2.6mm 0 1.2mm; text-wrap: pretty; }
h2 { font-size: 8.5pt; margin: 0 0 0.8mm; break-after: avoid; }
h3 { font-size: 8.5pt; margin: 3mm 0 0.8mm; break-after: avoid; }
p { margin: 0 0 1.2mm; }
a { color: inherit; overflow-wrap: anywhere; }
code { font: 6.8pt/1.3 ui-monospace, "Liberation Mono", monospace; overflow-wrap: anywhere; }
header { display: flex; justify-content: space-between; gap: 6mm; color: #555;
  border-bottom: 0.5mm solid #1a1a1a; padding-bottom: 1.2mm; }
header b { color: #1a1a1a; display: block; font-size: 10pt; overflow-wrap: anywhere; }
header span { display: block; }
header .right { text-align: right; white-space: nowrap; }
.why { color: #333; margin-bottom: 2.5mm; }
.small { font-size: 7.5pt; line-height: 1.3; color: #444; }
.from { margin: 2.2mm 0 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.42mm 0 0.42mm 3mm; vertical-align: top;
  border-bottom: 0.15mm solid #e0e0e0; overflow-wrap: anywhere; }
th:first-child, td:first-child { padding-left: 0; }
th { font-weight: 600; color: #333; }
.number { text-align: right; }
td.number { overflow-wrap: normal; }
.red, .red td { color: #b00020; }
.plans { table-layout: fixed; margin-bottom: 2.6mm; }
.plans th:first-child { width: 29%; font-weight: 400; color: #555; }
.plans th { vertical-align: bottom; line-height: 1.25; }
.plans th span { display: block; font-weight: 400; color: #555; font-size: 7.5pt; }
.plans th em { display: block; font-style: normal; font-weight: 400; color: #555; }
.plans .chosen { background: #eef4f8; padding-right: 1.5mm; font-weight: 600; }
.plans tr.rule td { border-top: 0.3mm solid #8a97a3; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 0 7mm; margin-bottom: 2.5mm; }
.wide-left { grid-template-columns: 1fr 1fr; }
.two .number { white-space: nowrap; }
.prices { table-layout: fixed; margin-bottom: 2mm; }
.prices th, .prices td { font-size: 7.8pt; }
.prices th:nth-child(1) { width: 32%; }
.prices th:nth-child(2), .prices th:nth-child(3) { width: 9%; }
.prices th:nth-child(4) { width: 9%; }
.two p { margin-top: 1.6mm; }
.two th, .two td { font-size: 7.8pt; }
footer { display: grid; grid-template-columns: 1fr 1fr; gap: 7mm; margin-top: 9.5mm; }
footer i { display: block; border-bottom: 0.25mm solid #1a1a1a; margin-bottom: 0.8mm; }
footer div { display: grid; grid-template-columns: 1fr auto; gap: 0 4mm; color: #555;
  font-size: 7.5pt; }
footer i { grid-column: 1 / -1; }
footer b { color: #1a1a1a; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 10.5px Arial, "Liberation Sans", Helvetica, "DejaVu Sans Condensed",
  sans-serif; fill: #555; }
svg text.name { fill: #1a1a1a; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
ul { margin: 0; padding-left: 5mm; }
tr, svg { break-inside: avoid; }
.page { break-inside: avoid; }
.roomy { font-size: 9pt; }
.roomy .small { font-size: 8pt; }
.roomy th, .roomy td { padding-top: 0.5mm; padding-bottom: 0.5mm; }
.roomy .two th, .roomy .two td { font-size: 8.2pt; }
.roomy footer { margin-top: 10mm; }
.tight { font-size: 8pt; line-height: 1.25; }
.tight h1 { font-size: 11.5pt; margin-top: 1.6mm; }
.page h1.long { font-size: 10pt; }
.tight .why { margin-bottom: 1.6mm; }
.tight .small { font-size: 7.2pt; line-height: 1.25; }
.tight th, .tight td { padding-top: 0.25mm; padding-bottom: 0.25mm; }
.tight .two th, .tight .two td, .tight .prices th, .tight .prices td { font-size: 7.4pt; }
.tight .two, .tight .plans { margin-bottom: 1.6mm; }
.tight svg { max-height: 38mm; }
.tight .two p { margin-top: 1mm; }
.tight footer { margin-top: 7mm; }
.annex { break-before: page; margin-top: 10mm; }
.annex h2 { font-size: 10pt; margin: 5mm 0 1.2mm; }
.annex .number, .nowrap { white-space: nowrap; }
.annex td.bar { width: 40%; }
.annex td.bar div { background: #0072b2; height: 2.6mm; }
.columns { display: grid; grid-template-columns: 1fr 1fr; gap: 0 8mm; }
"""
