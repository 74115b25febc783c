"""Episodes that are read where they are: at a hub, or in a bucket, by ranges of bytes."""
