"""Trains one grader or one locator, in a process of its own: the loop, the loss, augmentation, checkpoints."""
