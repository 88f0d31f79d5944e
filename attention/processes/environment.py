"""Whether several processes share the work, as the environment says; nothing here imports JAX."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from attention.errors import InputError

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
EXPLICIT = (ADDRESS, COUNT, INDEX)


@dataclasses.dataclass(frozen=True)
class Group:
    """The processes of a run.

    Attributes:
        address: host and port of the first process; None: JAX finds it.
        count: how many processes there are; None: JAX finds it.
        index: of this process; None: JAX finds it.
    """

    address: str | None = None
    count: int | None = None
    index: int | None = None


def find_group(environment: Mapping[str, str]) -> Group | None:
    """Find the processes that work together.

    - ``JAX_COORDINATOR_ADDRESS``, ``JAX_NUM_PROCESSES`` and ``JAX_PROCESS_ID`` say it;
    - ``JAX_NUM_PROCESSES=auto`` lets JAX ask the cluster, such as the TPU's metadata server;
    - SLURM (``srun``), Open MPI and the workers of a TPU slice have variables of their own.

    Args:
        environment: variables of the process.

    Returns:
        None for one process alone.

    Raises:
        InputError: the first three are incomplete or no numbers.
    """
    given = {name: environment[name] for name in EXPLICIT if environment.get(name)}
    if given.get(COUNT) == "auto":
        return Group()
    if given:
        missing = [name for name in EXPLICIT if name not in given]
        if missing == [ADDRESS, INDEX] and given[COUNT] == "1":
            return None
        numbers = [given.get(name, "") for name in (COUNT, INDEX)]
        if missing or not all(number.isdecimal() for number in numbers):
            raise InputError(
                f"several processes need {', '.join(EXPLICIT)} (or {COUNT}=auto alone); "
                f"there are {given}"
            )
        count, index = map(int, numbers)
        if index >= count:
            raise InputError(f"{INDEX}={index} must be below {COUNT}={count}")
        return None if count == 1 else Group(given[ADDRESS], count, index)
    if _number(environment, "SLURM_STEP_NUM_TASKS") > 1 and "SLURM_PROCID" in environment:
        return Group()
    if _number(environment, "OMPI_COMM_WORLD_SIZE") > 1:
        return Group()
    if "," in environment.get("TPU_WORKER_HOSTNAMES", ""):
        return Group()
    return Group() if _number(environment, "MEGASCALE_NUM_SLICES") > 1 else None


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    return int(value) if value.isdecimal() else 0
