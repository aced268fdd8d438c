"""Studies: the same run under several arms, seeds and first policies, at equal budgets, and what may be said of it.

``plan`` reads the file, ``jobs`` runs what is not there yet, ``analysis`` compares, ``tables`` shows. None of this is
the paper's: it reports means of three benchmarks without intervals. All is **ours**.
"""
