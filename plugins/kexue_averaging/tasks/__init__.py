"""The tasks: quadratics and constants with exact laws, and trainings."""
