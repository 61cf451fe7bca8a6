"""The wire format of managed agents that Anthropic and Qoder share: agents, environments, sessions and events.

A provider of the family adds its differences: headers, resuming, status words, events of its own, budgets and limits.
"""
