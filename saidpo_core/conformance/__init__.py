"""Conformance: does a component keep the promises of its kind? One named check a promise (``saidpo check``).

For authors: ``saidpo check MY-PACKAGE`` on the command line, or in a test (the pytest plug-in comes with saidpo)

    @pytest.mark.saidpo("my-package")
    def test_conformance(saidpo_check):
        saidpo_check()
"""

from saidpo_core.conformance.kit import Check, Result, Status, Subject, checks_of, run_check, run_checks, subject_of

__all__ = ["Check", "Result", "Status", "Subject", "checks_of", "run_check", "run_checks", "subject_of"]
