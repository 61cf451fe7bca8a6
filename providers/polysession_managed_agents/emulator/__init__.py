"""State and rules that the emulators of managed agents share, because their backends share the wire."""
