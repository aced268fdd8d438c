"""Run a program as a script: its standard streams are those of the sandbox."""

from __future__ import annotations

import sys

from .confine import confine, hide, source_of


def main(arguments: list[str]) -> None:
    descriptor, *limits = arguments
    source = source_of(int(descriptor))
    confine(limits)
    hide()
    module = type(sys)("__main__")
    module.__file__ = "/tmp/program.py"
    sys.modules["__main__"] = module
    with open("/tmp/program.py", "w", encoding="utf-8", errors="surrogatepass") as file:
        file.write(source)
    exec(compile(source, "/tmp/program.py", "exec", dont_inherit=True), module.__dict__)
