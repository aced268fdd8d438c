"""The command line: what is typed (``entry``, ``flags``), what is shown (``screen``, ``listing``), a file a command."""
