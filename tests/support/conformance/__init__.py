"""What the conformance suite works on and checks answers by."""
