"""What the emulators of managed agents share: state and rules of the wire that these backends have in common."""
