"""Level 3: from spools to the store, exactly once; recovery; sums; retention."""
