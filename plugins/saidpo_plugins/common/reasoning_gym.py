"""What pool and verifier of Reasoning Gym both have to know."""

from __future__ import annotations

RUNS_ANSWERS = frozenset(
    {
        "binary_matrix",
        "countdown",
        "intermediate_integration",
        "n_queens",
        "polynomial_multiplication",
        "puzzle24",
        "simple_integration",
        "spiral_matrix",
        "string_insertion",
    }
)
"""Tasks whose ``score_answer`` hands the answer to ``eval`` or to SymPy's ``parse_expr``, which evals it."""
