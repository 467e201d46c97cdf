"""Values of elements: VRs, character sets, dictionary (PS3.5, PS3.6)."""
