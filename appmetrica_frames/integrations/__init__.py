"""What a cached export becomes: the only modules that import an engine for results."""
