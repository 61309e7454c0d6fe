"""Transfer: what other datasets' scores say about this one."""
