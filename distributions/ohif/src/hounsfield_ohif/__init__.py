"""The OHIF viewer as files, which the console of Hounsfield serves.

``app/files.json`` lists them: ``base`` is the path that they are made for, ``styles``, ``start`` and ``scripts`` are what a
page loads, in this order, and ``files`` has for each name the file in ``app/`` and whether that is packed by gzip.
"""
