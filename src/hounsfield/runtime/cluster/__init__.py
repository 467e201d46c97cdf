"""The Dask cluster: worker processes on other machines, handed work through a scheduler."""
