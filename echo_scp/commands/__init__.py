"""The commands of `echo-scp engines`."""
