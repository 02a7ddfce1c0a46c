"""What exists: hooks, plugins, names, conditions, metrics and claims; nothing here imports torch."""
