"""What stands in for S3 and Azure where the emulators cannot be made to misbehave, and the contracts that it keeps."""
