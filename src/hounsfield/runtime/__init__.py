"""The runtime of a process: logs, TLS, threads, forked workers."""
