"""Evidence that nothing was altered: signed files, and a log that can only grow."""
