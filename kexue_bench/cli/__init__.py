"""The command line: one small module a verb, imported only when its verb is called."""
