"""On a CeleryExecutor with two workers: syncs that spread over both, and what becomes of them when a part fails."""

import pytest

pytest.register_assert_rewrite("tests.cluster.syncs")
