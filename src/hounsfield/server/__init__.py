"""The processes of an installation.

supervisor ─forks─┬─▶ granian_server: API processes
 (child_process)  └─▶ runner: work items, sweeps, audit tasks
"""
