"""``hounsfield demo``: a tour that leaves a small archive behind, and says how to go on."""
