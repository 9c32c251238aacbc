"""What a run will take: disk, memory, hours."""
