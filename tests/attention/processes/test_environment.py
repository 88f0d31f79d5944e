"""Which processes work together, by the environment."""

import pytest

from attention.errors import InputError
from attention.processes import Group, find_group

EXPLICIT = {
    "JAX_COORDINATOR_ADDRESS": "one:8476", "JAX_NUM_PROCESSES": "3", "JAX_PROCESS_ID": "2",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "group"),
    [
        ({}, None),
        (EXPLICIT, Group("one:8476", 3, 2)),
        ({**EXPLICIT, "JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"}, None),
        ({"JAX_NUM_PROCESSES": "auto"}, Group()),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}, Group()),
        ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, Group()),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, Group()),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
        ({"MEGASCALE_NUM_SLICES": "2"}, Group()),
    ],
)
def test_groups(environment, group):
    assert find_group(environment) == group


@pytest.mark.parametrize(
    "changed", [{"JAX_PROCESS_ID": ""}, {"JAX_NUM_PROCESSES": "many"}, {"JAX_PROCESS_ID": "3"}]
)
def test_an_incomplete_group_is_refused(changed):
    with pytest.raises(InputError, match="JAX_PROCESS_ID"):
        find_group({**EXPLICIT, **changed})
