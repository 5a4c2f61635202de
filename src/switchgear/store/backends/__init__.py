"""The databases that a store can be kept in, one module each. Level 2."""
