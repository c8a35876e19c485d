"""Azure Blob Storage: the REST calls that a copy consists of, and how they are authorized."""
