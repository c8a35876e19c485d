"""Azure Blob Storage: the REST calls of a copy, and their authorization."""
