"""What a task may use inside a worker: the only part of the core that imports torch, so nothing is imported here."""
