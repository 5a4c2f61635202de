"""Level 1: the configuration file: read strictly, validated whole, compiled. Reads no environment and no files itself."""
