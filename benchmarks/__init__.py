"""zeroskip against its peers: what each bar asks for, measured the same way for all.

    python -m benchmarks --only spmm       one row
    make bars                              every row, into build/bars.json, and what was reached
    make performance                       docs/performance.md from build/bars.json

A *row* (`rows/`) is one kind of work with its shapes, densities and bars.  It makes a *contest*
for each of them: one input, its dense answer, and everybody who computes it.  `running.py` checks
every answer and lets all take turns; `verdicts.py` turns times into ratios and holds them
against the bars; `report.py` keeps and shows them.  A peer that is missing is named with the
reason, and the others are compared.
"""
