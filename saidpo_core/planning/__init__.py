"""What a run will do, need and take, said before it starts: ``saidpo --dry-run`` and ``saidpo doctor``.

The core counts problems, responses and pairs; what they need of a device is known by the generator and the trainer,
which may have a method ``plan`` for it. A component without one is planned as "unknown".
"""
