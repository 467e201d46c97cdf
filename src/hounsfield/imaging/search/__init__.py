"""SearchImageSets and QIDO."""
