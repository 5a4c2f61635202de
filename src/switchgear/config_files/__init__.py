"""Configuration files on the disk: read, checked, watched."""
