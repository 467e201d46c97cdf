"""Users, roles and policies as pages show them."""
