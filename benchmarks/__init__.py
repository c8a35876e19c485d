"""What a copy costs in memory, disk, CPU and time, each measured by a command that fails if its bound is broken."""
