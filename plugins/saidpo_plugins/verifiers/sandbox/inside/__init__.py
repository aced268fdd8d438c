"""What runs inside the sandbox, under the plain interpreter: nothing here imports saidpo or a package.

``run`` runs a program as a script, ``serve`` answers calls of its functions, ``judge`` runs the tests of a problem
against what ``serve`` answers from another sandbox, ``probe`` tries to get out.
"""
