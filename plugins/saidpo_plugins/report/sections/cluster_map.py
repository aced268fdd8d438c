"""The pool as a map: like tags lie together, coloured by the error rate of their cluster, round by round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saidpo_plugins.report.page import Figure, Section
from saidpo_plugins.report.reading import RunData
from saidpo_plugins.report.text import label, percent, shortened
from saidpo_plugins.report.weakest import find_weakest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POINTS = 2500
"""Points of the map at most; more cannot be told apart, and every one is in the file."""
FITTED = 20_000
"""Texts that the axes are fitted on at most."""


def section(run: RunData) -> Section | None:
    if run.embeddings is None or run.cluster_of is None or not run.trained or len(run.embeddings[0]) < 3:
        return None
    import numpy as np

    vectors, index = run.embeddings
    clusters = _of_texts(index, run.cluster_of, len(vectors))
    counts = np.bincount(index, minlength=len(vectors))
    flat, kept = _plane(vectors, clusters, counts)
    chosen = _sampled(clusters, counts)
    rates = [[_error(cluster["rounds"][t]) for cluster in run.clusters] for t in range(len(run.trained))]
    figure = _figure(run, flat, chosen, clusters, counts, rates)
    notes = [
        "A point is a list of tags, its size the number of problems that carry it. Colour is the share of wrong "
        "responses in its cluster in the round of the slider; grey: nothing of it was tried.",
        f"The two axes (principal components of the clusters’ centres) keep {percent(kept, 0)} of what sets the "
        "centres apart: what lies near may be less near than it looks.",
    ]
    if len(chosen) < len(vectors):
        notes.append(
            f"Drawn are {len(chosen):,} of {len(vectors):,} tag lists, with "
            f"{int(counts[chosen].sum()):,} of {int(counts.sum()):,} problems: some of every cluster."
        )
    return Section(id="map", title="Map of the clusters", short="Map", figures=[figure], notes=notes)


def _error(row: dict[str, Any]) -> float | None:
    return round(100 * (1 - row["right"] / row["counted"]), 1) if row["counted"] else None


def _of_texts(index: NDArray[np.int64], cluster_of: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """[u], the cluster of each text; problems of one text are in one cluster with every clusterer that sees vectors."""
    import numpy as np

    clusters = np.zeros(n, dtype=np.int64)
    clusters[index] = cluster_of
    return clusters


def _plane(
    vectors: NDArray[np.float32], clusters: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """[u, 2] and the share of the centres' variance that the plane keeps. Deterministic: no random start.

    Principal components of the clusters' centres set the clusters apart; those of all texts, of several hundred
    dimensions, hardly do (within and between clusters 0.06 to 0.03 on the default pool, here 0.01 to 0.08).
    """
    import numpy as np
    from sklearn.decomposition import PCA

    centres = np.zeros((int(clusters.max()) + 1, vectors.shape[1]))
    np.add.at(centres, clusters, vectors * counts[:, None])
    centres /= np.maximum(np.bincount(clusters, counts), 1)[:, None]
    fitted = centres if len(centres) > 2 else vectors[:: max(1, -(-len(vectors) // FITTED))].astype(np.float64)
    pca = PCA(2, svd_solver="full").fit(fitted)
    return pca.transform(vectors.astype(np.float64)), float(pca.explained_variance_ratio_.sum())


def _sampled(clusters: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows to draw: of every cluster its share of the points, at least 3, those with most problems first."""
    import numpy as np

    if len(clusters) <= POINTS:
        return np.arange(len(clusters))
    chosen = []
    for c in range(int(clusters.max()) + 1):
        mine = np.flatnonzero(clusters == c)
        size = max(3, round(POINTS * len(mine) / len(clusters)))
        ranked = mine[np.argsort(-counts[mine], kind="stable")]
        chosen.append(ranked[np.linspace(0, len(ranked) - 1, min(size, len(ranked))).astype(np.int64)])
    return np.sort(np.concatenate(chosen))


def _figure(
    run: RunData,
    flat: NDArray[np.float64],
    chosen: NDArray[np.int64],
    clusters: NDArray[np.int64],
    counts: NDArray[np.int64],
    rates: list[list[float | None]],
) -> Figure:
    import numpy as np

    mine = clusters[chosen].tolist()
    sizes = np.clip(4 + 2.2 * np.sqrt(counts[chosen]), 5, 26)
    top = max([10.0, *(rate for row in rates for rate in row if rate is not None)])
    colours = [[row[c] for c in mine] for row in rates]
    return Figure(
        id="map-figure",
        height=520,
        alt=f"Scatter of {len(chosen)} tag lists in two dimensions, coloured by the error rate of their clusters; "
        "the weakest clusters are named. A slider chooses the round. The table of clusters has the numbers.",
        data=[
            {
                "x": np.round(flat[chosen, 0], 3).tolist(), "y": np.round(flat[chosen, 1], 3).tolist(),
                "mode": "markers", "showlegend": False,
                "text": [shortened(run.labels_of_clusters[c], 60) for c in mine],
                "customdata": [[int(n)] for n in counts[chosen]],
                "marker": {
                    "size": np.round(sizes, 1).tolist(), "color": colours[0], "cmin": 0, "cmax": top,
                    "colorscale": "Cividis", "line": {"width": 0.6, "color": "@ink"},
                    "colorbar": {"title": {"text": "wrong responses (%)", "side": "top", "font": {"size": 12}},
                                 "thickness": 8, "outlinewidth": 0, "orientation": "h", "y": 1, "yanchor": "bottom",
                                 "ypad": 2},
                },
                "hovertemplate": "%{text}<br>%{marker.color:.0f}% wrong in this round<br>"
                "%{customdata[0]} problems with these tags<extra></extra>",
            },
        ],
        layout={
            "xaxis": {"title": {"text": "first component"}, "showticklabels": False, "zeroline": False},
            "yaxis": {"title": {"text": "second component"}, "showticklabels": False, "zeroline": False},
            "annotations": _names(run, flat, clusters, counts),
        },
        rounds=[
            {"title": f"round {row['round']} (the policy that it began with)", "colours": values}
            for row, values in zip(run.trained, colours, strict=True)
        ],
    )  # fmt: skip


def _names(
    run: RunData, flat: NDArray[np.float64], clusters: NDArray[np.int64], counts: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """The three weakest clusters, named where most of their problems are."""
    weakest = find_weakest(run)
    names = []
    for place, c in enumerate(weakest.clusters[:3] if weakest else ()):
        mine = clusters == c
        x, y = (flat[mine] * counts[mine, None]).sum(0) / counts[mine].sum()
        names.append(
            {
                "x": round(float(x), 3), "y": round(float(y), 3), "showarrow": True, "arrowcolor": "@ink", "ax": 0,
                "text": label(shortened(run.names[c], 34)), "ay": -34 - 22 * place,
                "bgcolor": "@card", "bordercolor": "@faint", "borderpad": 3, "opacity": 0.92,
            }
        )  # fmt: skip
    return names
