"""The state, rules and JSON that the emulators of both members share."""
