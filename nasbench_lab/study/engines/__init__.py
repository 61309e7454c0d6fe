"""Who computes: processes of this machine, or a cluster that others schedule. Jobs go out, what they return comes back."""
