"""S3: ranged reads through presigned URLs, and their signatures."""
