"""TRL's trainer classes, taking data that are tokenised already, in steps that do not depend on who trains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from saidpo_plugins.trainers.step_batches import StepBatches, loader


def pretokenised(
    kind: Any, references: Sequence[str] = (), lengths: Callable[[Any], Sequence[int]] | None = None
) -> Any:
    """TRL's trainer class ``kind``, taking tokenised data as they are.

    ``references`` are the columns of reference log-probabilities, if there are any, in the order in which TRL
    computes them. TRL would keep them in a file of the temporary folder, where a killed process leaves it, and take
    them from there whatever batch size they were computed with.

    ``lengths(dataset)`` are the tokens of each example, for steps that group them by length (see ``step_batches``);
    None: TRL's own batches.
    """

    class Pretokenised(kind):  # type: ignore[misc, unused-ignore]
        def _send_telemetry(self) -> None:
            """Nothing is reported to anybody."""

        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            return dataset

        def create_accelerator_and_postprocess(self) -> None:
            super().create_accelerator_and_postprocess()
            _keep_outputs_whole(self.accelerator)

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            # Warming up begins at 0, so a training of one step that warms up for one step would change nothing.
            self.args.warmup_steps = min(self.args.get_warmup_steps(num_training_steps), num_training_steps - 1)
            return super().create_scheduler(num_training_steps, optimizer)

        def get_train_dataloader(self) -> Any:
            if lengths is None:
                return super().get_train_dataloader()
            args = self.args
            batches = StepBatches(
                lengths(self.train_dataset),
                batch=args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size,
                micro=args.per_device_train_batch_size,
                processes=args.world_size,
                rank=args.process_index,
                seed=args.seed,
            )
            data = self._remove_unused_columns(self.train_dataset, description="training")
            return loader(data, batches, self.data_collator, args.dataloader_pin_memory)

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            inputs.pop("rows", None)
            return super().compute_loss(model, inputs, *args, **kwargs)

        def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
            import torch
            from torch.utils.data import DataLoader

            rows = self.accelerator.prepare(DataLoader(dataset, batch_size=batch_size, collate_fn=self.data_collator))
            model = self.reference_to_ask()
            batches = [self.accelerator.gather_for_metrics(self.compute_ref_log_probs(model, batch)) for batch in rows]
            for column, parts in zip(references, zip(*batches, strict=True), strict=True):
                dataset = dataset.add_column(column, torch.cat(parts).tolist())
            return dataset

        def reference_to_ask(self) -> Any:
            """The reference model, ready for the devices: the policy itself if there is no other."""
            if self.ref_model is None and self.is_deepspeed_enabled:
                from trl.models import prepare_deepspeed

                return prepare_deepspeed(self.model, self.accelerator)
            return self.ref_model or self.model

    return Pretokenised


def _keep_outputs_whole(accelerator: Any) -> None:
    """accelerate has FSDP2 round whatever a model returns to bfloat16, and the gradients that processes sum.

    Of log-probabilities that leaves 8 bits: a response at -100 nats would be known to half a nat.
    """
    plugin: Any = getattr(accelerator.state, "fsdp_plugin", None)
    policy = getattr(plugin, "mixed_precision_policy", None)
    if policy is not None and plugin.fsdp_version == 2:
        import torch

        plugin.mixed_precision_policy = replace(policy, output_dtype=None, reduce_dtype=torch.float32)
