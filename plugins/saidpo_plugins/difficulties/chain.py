"""What difficulties share: a chain of keys that begins with the error rate. No component lives here.

**Ours**: the pass rate is the one to expect after the responses that were judged, (right + 1) / (judged + 2). With K
judged responses each, it orders problems as right / K does; where some have fewer (``early_stop``, or some could not be
judged), it weighs how many there are. Truncated responses count for the error rate only (they are as long as the limit,
not as the reasoning; if all are truncated, all count), and a problem of which nothing could be judged comes out as
easiest; it is of no use for pairs anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from saidpo_core import Attempts, Response

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def chain(attempts: Sequence[Attempts], *proxies: Callable[[Response], float]) -> NDArray[np.float64]:
    """Keys [n, 1 + proxies] of a difficulty: the error rate, then the mean of each proxy over the responses."""
    import numpy as np

    rows = [(_error_rate(item), *_means(_finished(item.responses), proxies)) for item in attempts]
    return np.array(rows, dtype=np.float64).reshape(len(attempts), 1 + len(proxies))


def _error_rate(attempts: Attempts) -> float:
    return 1 - attempts.expected_pass_rate if attempts.counted else 0.0


def _means(responses: Sequence[Response], proxies: Sequence[Callable[[Response], float]]) -> list[float]:
    from statistics import fmean

    return [fmean(map(proxy, responses)) if responses else 0.0 for proxy in proxies]


def _finished(responses: Sequence[Response]) -> Sequence[Response]:
    """Responses that were not truncated; all of them if there is none."""
    return [response for response in responses if not response.truncated] or responses


def tokens(response: Response) -> float:
    return len(response.token_ids)
