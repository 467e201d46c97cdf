"""Administration: users, roles, keys, policies and what else no API of AWS HealthImaging has, as JSON over HTTP.

operations (users, buckets, …) ─▶ Operation(name, action, members, permissions, handle) ─▶ routes ─▶ AdministrationApi
"""
