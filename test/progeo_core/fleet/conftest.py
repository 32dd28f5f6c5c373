"""A Ray cluster, which the tests of this folder share."""

import pytest

from progeo_core.inference.device import limit_threads


@pytest.fixture(scope="package")
def cluster():
    """Start two nodes with a processor each; threads of networks are as in their workers."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        limit_threads(1)
        nodes = Cluster()
        for _ in range(2):
            nodes.add_node(
                num_cpus=1,
                include_dashboard=False,
                include_log_monitor=False,
                object_store_memory=100 << 20,
            )
        yield nodes
        nodes.shutdown()
