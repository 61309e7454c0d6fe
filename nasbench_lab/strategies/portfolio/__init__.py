"""Several strategies as one."""
