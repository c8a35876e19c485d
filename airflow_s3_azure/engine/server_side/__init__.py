"""Server-side copy: a block mover with which Azure reads the blocks from S3."""
