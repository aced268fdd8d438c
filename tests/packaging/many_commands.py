"""Run several ``saidpo`` commands one after the other in this process, so that torch is imported once.

stdin: a JSON list of lists of arguments. stdout: a JSON list of [exit code, what went to stdout, what to stderr].
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from saidpo_core.cli.entry import main


def run(arguments: list[str]) -> tuple[object, str, str]:
    sys.argv = ["saidpo", *arguments]
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    print(json.dumps([run(arguments) for arguments in json.load(sys.stdin)]))
