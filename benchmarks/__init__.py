"""What an export costs: time, processor and memory, against what people would write otherwise."""
