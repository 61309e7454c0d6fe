"""Zero-cost scores: what an untrained network says of itself on one batch of images. One file each, named as the score is.

`_score` says what a score is and measures one; `_batch` makes batches, `_layers` looks into networks.
"""
