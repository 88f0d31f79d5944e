"""Fused attention kernels in Pallas, for CUDA devices and TPUs, with gradients.

How data passes through it: ``flash_attention`` (``fused``) chooses the platform, and joins the
passes into a differentiable function.  ``launch`` pads the arrays, cuts them into tiles and starts
a kernel on each tile.  ``kernels`` has what kernels share and the forward one, ``backward`` the
others, one source for all platforms, and ``base2_logits`` the arithmetic of their scores.  Open
``fused`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
