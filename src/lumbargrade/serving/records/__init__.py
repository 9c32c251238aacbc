"""What is kept of served answers: predictions, corrections, the reference."""
