"""What was served, and whether it still is what the model was made for."""
