"""Other gateways' configuration, turned into ours. Level 2, pure: what was read goes in, what to do comes out."""
