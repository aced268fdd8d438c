"""Known failure signatures of a run: one file each. A threshold stands beside its reason; all of them are **ours**."""
