"""What proves where a version came from: its signed record, and the checks that nothing was altered since."""
