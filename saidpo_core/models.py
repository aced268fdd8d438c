"""From what the user calls a model to a folder on disk."""

from __future__ import annotations

from pathlib import Path

from saidpo_core.errors import UsageError
from saidpo_core.options import nearest
from saidpo_core.records import Policy

# Weights as safetensors and plain text files: nothing that runs code when it is opened.
_PATTERNS = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "tokenizer*"]


def locate_model(model: str, policy: Policy | None, known: list[str]) -> Path:
    """The folder of a named policy, of a path, or of a hub model (fetched if need be)."""
    folder = locate_folder(model, policy, known)
    return _fetch(model) if folder is None else folder


def locate_folder(model: str, policy: Policy | None, known: list[str]) -> Path | None:
    """The folder of a named policy or of a path; None for the name of a hub model."""
    if policy is not None:
        return policy.folder
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.exists():
        raise UsageError(f"--model={model}: this is a file; expected a folder written by save_pretrained")
    if model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise UsageError(f"--model={model}: no such folder, and not a name like owner/model.{nearest(model, known)}")
    return None


def _fetch(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=_PATTERNS))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"--model={model}: no such folder here, and the model hub did not give it: {reason}"
        ) from error
