"""The domain: data stores, import jobs, image sets, versions, search."""
