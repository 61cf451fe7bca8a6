"""The parts that the providers for Anthropic and Qoder share.

Their backends share a wire format.
The two backends are the members of one family. Each provider adds the differences of its backend: headers, how a
stream resumes, status words, additional events, budgets and limits.
"""
