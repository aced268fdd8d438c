"""TRL's ``DPOTrainer`` as ``dpo`` uses it: exact accumulation, and reference log-probabilities at the least cost.

Reference log-probabilities are needed once a response, whatever the number of passes. They are summed from the log
probabilities of the rollouts, if these are the reference's own, or computed in one pass over responses of like length.
TRL's batches pad the chosen and the rejected response of a pair to one length; here each stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from saidpo_core import Pair, SaidpoError
from saidpo_plugins.trainers.pretokenised import pretokenised

TOLERANCE = 0.1
"""Nats a response by which rollouts and reference may differ. Times ``beta`` = 0.1 that moves a pair's log-odds by at
most 0.02. Generators differ from training by 1e-4 in float32; long responses sampled in bfloat16 by more than this."""
TRIED = 16
"""Pairs on which it is tried, from the shortest to the longest."""


def preference_trainer(pairs: Sequence[Pair], source: Literal["auto", "compute", "rollouts"], grouped: bool) -> Any:
    """The class to build. With ``grouped`` off its batches are TRL's own, in training and for the reference."""
    from trl import DPOTrainer

    base: Any = pretokenised(DPOTrainer, ("ref_chosen_logps", "ref_rejected_logps"), _lengths if grouped else None)

    class Preferences(base):  # type: ignore[misc, valid-type, unused-ignore]
        reference_gap = float("nan")
        """The largest difference between rollouts and reference that was found, in nats a response."""
        reused = False

        def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
            """Notes how many pairs and chosen tokens this step has on all processes."""
            batches, items = super().get_batch_samples(*args, **kwargs)
            if batches and "rows" in batches[0]:
                self._step = len(batches), *self._over_all([(b["rows"], _chosen_tokens(b)) for b in batches])
            return batches, items

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            """The mean over the pairs (and, for ``nll``, the tokens) of the step, however it was dealt out."""
            if "rows" in inputs:
                rounds, pairs, tokens = self._step
                calls = rounds * self.args.world_size  # the loss is divided by these, as if all were alike
                shares = [inputs["rows"] * calls / pairs, _chosen_tokens(inputs) * calls / tokens]
                given = self.args.loss_weights or [1.0]
                self.loss_weights = [weight * share for weight, share in zip(given, shares, strict=False)]
            return super().compute_loss(model, inputs, *args, **kwargs)

        def _over_all(self, counts: list[tuple[int, int]]) -> list[int]:
            import torch

            sums = torch.tensor([sum(column) for column in zip(*counts, strict=True)], device=self.args.device)
            return [int(value) for value in self.accelerator.reduce(sums, "sum").tolist()]

        def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
            if source == "compute" and not grouped:
                return super()._precompute_ref_logps(dataset, name, batch_size)
            model = self.reference_to_ask()
            known = [sum(response.logprobs) for response in _responses(pairs)]
            if source != "compute":
                self.reference_gap = self._gap(model, known)
                self.reused = self.reference_gap <= TOLERANCE
            if source == "rollouts" and not self.reused:
                raise SaidpoError(
                    f"the rollouts' log-probabilities are not the reference's: they differ by {self.reference_gap:.3g} "
                    f"nats a response, {TOLERANCE} at most are allowed; use --trainer.reference_logprobs=auto"
                )
            if not self.reused and not grouped:
                return super()._precompute_ref_logps(dataset, name, batch_size)
            logps = known if self.reused else self._logps(model, range(2 * len(pairs)))
            dataset = dataset.add_column("ref_chosen_logps", logps[: len(pairs)])
            return dataset.add_column("ref_rejected_logps", logps[len(pairs) :])

        def _gap(self, model: Any, known: Sequence[float]) -> float:
            order = sorted(range(len(pairs)), key=lambda i: _lengths(self.train_dataset)[i])
            tried = sorted({order[round(k * (len(order) - 1) / (TRIED - 1))] for k in range(TRIED)})
            rows = [*tried, *(len(pairs) + i for i in tried)]
            gaps = [abs(a - known[row]) for row, a in zip(rows, self._logps(model, rows), strict=True)]
            return max(gaps) if all(gap == gap for gap in gaps) else float("inf")

        def _logps(self, model: Any, rows: Sequence[int]) -> list[float]:
            """Log-probabilities of responses, in nats; ``rows`` as in ``_responses``. All processes share the work."""
            import torch

            responses = _responses(pairs)
            prompts = [pair.prompt_ids for pair in pairs] * 2
            lengths = [len(prompts[row]) + len(responses[row].token_ids) for row in rows]
            room = 2 * self.args.per_device_train_batch_size * max(_lengths(self.train_dataset))
            batches = batches_by_length(lengths, room)
            processes, rank = self.args.world_size, self.args.process_index
            found = torch.zeros(len(rows), device=self.args.device)
            for start in range(0, len(batches), processes):
                mine = batches[min(start + rank, len(batches) - 1)]  # shards are asked by all at once, or by none
                batch = self._padded([(prompts[rows[i]], responses[rows[i]].token_ids) for i in mine])
                logps = torch.cat(self.compute_ref_log_probs(model, batch))
                if start + rank < len(batches):
                    found[torch.tensor(mine, device=found.device)] = logps.float()
            total: list[float] = self.accelerator.reduce(found, "sum").tolist()
            return total

        def _padded(self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]]) -> dict[str, Any]:
            """[n, longest] tensors on the device, padded on the right."""
            import torch

            shape = len(sequences), max(len(prompt) + len(response) for prompt, response in sequences)
            names = ("input_ids", "attention_mask", "completion_mask")
            tensors = {name: torch.zeros(shape, dtype=torch.long) for name in names}
            tensors["input_ids"].fill_(self.processing_class.pad_token_id)
            for row, (prompt, response) in enumerate(sequences):
                start, end = len(prompt), len(prompt) + len(response)
                tensors["input_ids"][row, :end] = torch.tensor([*prompt, *response])
                tensors["attention_mask"][row, :end] = 1
                tensors["completion_mask"][row, start:end] = 1
            return {name: tensor.to(self.args.device) for name, tensor in tensors.items()}

    return Preferences


def batches_by_length(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Rows by falling length, in batches that take at most ``room`` tokens when padded, or hold one row."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= room:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def _responses(pairs: Sequence[Pair]) -> list[Any]:
    """The chosen ones, pair after pair, and then the rejected ones."""
    return [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]


def _lengths(dataset: Any) -> list[int]:
    """Tokens of the longer side of each pair, prompt included: what a batch of TRL's is padded to."""
    return [
        len(prompt) + max(len(chosen), len(rejected))
        for prompt, chosen, rejected in zip(
            dataset["prompt_ids"], dataset["chosen_ids"], dataset["rejected_ids"], strict=True
        )
    ]


def _chosen_tokens(batch: Any) -> int:
    """Chosen tokens that count in a batch of TRL's, whose first half are the chosen responses."""
    mask = batch["completion_mask"]
    return int(mask[: len(mask) // 2, 1:].sum()) if batch["rows"] else 0
