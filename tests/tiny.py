"""A whole run of the real thing that takes seconds: the embedded policy on a small pool."""

TINY_RUN = (
    "--pool.size=240",
    "--pool.held_out=2",
    "--probe-min=24",
    "--draw=40",
    "--samples=4",
    "--rounds=2",
    "--trainer.steps=3",
    "--trainer.batch_size=8",
    "--trainer.micro_batch_size=8",
    "--generator.max_new_tokens=48",
)
