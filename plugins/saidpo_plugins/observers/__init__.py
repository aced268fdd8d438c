"""Observers that a user asks for by name: ``--observers=tensorboard,wandb``."""
