"""The command line: the only room that turns a URI into a source or a sink, and that lets siblings meet."""
