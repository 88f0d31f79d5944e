"""Compiling a step for machines that are not here, and what it would cost there.

How data passes through it: ``find_target`` (``targets``) reads a target such as ``v5e-256`` from a
table of chips and gives the devices of its topology. ``step_for`` (``workloads``) makes a ``Step``
of training, of decoding, or of attention alone: a jitted function and abstract arguments with their
shardings; any other function can be one too. ``compile_step`` (``compiling``) compiles it and makes
a ``Report``: memory, operations (``flops``), collectives (``collectives``), kernels for CUDA
(``ptx``) and a roofline. Open ``compiling`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
