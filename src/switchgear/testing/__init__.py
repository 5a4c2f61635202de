"""What tests, the demo and the benchmark run against: a provider that behaves as told, clocks that stand still. Level 5."""
