"""The log-probability of given tokens, and batches of texts on the device.

How data passes through it: each text becomes a `Row`, which says what the model reads and which
tokens it is asked about. `RowBatches` pads the rows to a few shapes, brings them to the device and
runs any program over them, in smaller batches if memory runs out. `token_log_probs` computes
log-probabilities in this way. `score_targets` is its last part, for callers that already have the
states of the last layer. `summed_loss` (`cross_entropy.py`) is what pretraining minimizes.

Open `rows.py` first, then `targets.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
