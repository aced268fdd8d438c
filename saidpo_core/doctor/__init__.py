"""``saidpo doctor``: what this machine has, what will run on it, and what a run would take."""
