"""How fast the edge is, against yardsticks measured beside it: one measurement a file.

Run by `linewatch bench edge`; docs/performance.md holds a run and says what the ratios mean.
"""
