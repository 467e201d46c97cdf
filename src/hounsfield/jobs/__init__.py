"""Work taken from the database under a lease, and the executors that do its CPU part."""
