"""The preflight and the fakes' contract tests on real accounts: ``make test-cloud``."""
