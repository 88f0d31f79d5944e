"""``python -m tale_jax`` is ``tale``."""

from tale_jax.cli import main

main()
