"""Level 1: decide(request, facts) → None or a Problem. Pure; fail closed."""
