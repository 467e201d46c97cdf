"""What a process needs to run: logs, TLS, threads, forked workers."""
