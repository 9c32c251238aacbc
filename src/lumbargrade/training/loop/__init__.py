"""What every training shares: epochs, checkpoints, precision, schedule, augmentation."""
