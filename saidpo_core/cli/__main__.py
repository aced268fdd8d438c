"""``python -m saidpo_core.cli`` is ``saidpo``."""

from saidpo_core.cli.entry import main

main()
