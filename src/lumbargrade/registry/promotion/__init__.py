"""Whether a candidate becomes champion: the frozen holdout, the rules, and what was decided."""
