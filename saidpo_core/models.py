"""From what the user calls a model to a folder on disk."""

from __future__ import annotations

import json
from pathlib import Path

from saidpo_core.errors import UsageError
from saidpo_core.options import nearest
from saidpo_core.records import Policy

_OUT_OF_REACH = "it cannot be reached from here, and the model is not in its cache"
# Weights as safetensors and plain text files: nothing that runs code when it is opened.
_PATTERNS = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "tokenizer*"]


def locate_model(model: str, policy: Policy | None, known: list[str]) -> Path:
    """The folder of a named policy, of a path, of a finished run's last one, or of a hub model (fetched if need be)."""
    folder = locate_folder(model, policy, known)
    return _fetch(model) if folder is None else folder


def locate_folder(model: str, policy: Policy | None, known: list[str]) -> Path | None:
    """The folder of a named policy, of a path or of a finished run's last one; None for the name of a hub model."""
    if policy is not None:
        return policy.folder
    folder = Path(model).expanduser()
    if is_run(folder):
        return _last_policy(folder).resolve()
    if folder.is_dir():
        return folder.resolve()
    if folder.exists():
        raise UsageError(f"--model={model}: this is a file; expected a folder written by save_pretrained")
    if model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise UsageError(f"--model={model}: no such folder, and not a name like owner/model.{nearest(model, known)}")
    return None


def is_run(folder: Path) -> bool:
    """Whether this is the folder of a run rather than of a model."""
    return (folder / "run.toml").is_file() and not (folder / "config.json").is_file()


def _last_policy(run: Path) -> Path:
    made = sorted(run.glob("round-*/05-train/model"), key=lambda path: int(path.parts[-3].removeprefix("round-")))
    try:
        finished = json.loads((run / "summary.json").read_text(encoding="utf-8"))["finished"]
    except (OSError, ValueError, KeyError):
        finished = False
    if not made:
        raise UsageError(f"--model={run}: this run has made no policy yet; go on with it first")
    if not finished:
        listed = ", ".join(map(str, made))
        raise UsageError(f"--model={run}: this run is not finished; name one of its policies: {listed}")
    return made[-1]


def hub_can_be_found() -> bool:
    """Whether the model hub's name resolves, or a proxy may know it; without, its client tries for half a minute."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    from huggingface_hub import constants

    if getproxies():
        return True
    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, None)
    except OSError:
        return False
    return True


def _fetch(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    found = hub_can_be_found()
    try:
        return Path(snapshot_download(model, allow_patterns=_PATTERNS, local_files_only=not found))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0] if found else _OUT_OF_REACH
        raise UsageError(
            f"--model={model}: no such folder here, and the model hub did not give it: {reason}"
        ) from error
