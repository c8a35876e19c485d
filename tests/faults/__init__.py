"""What goes wrong between two clouds, on command: a proxy that breaks connections, and processes that are killed."""
