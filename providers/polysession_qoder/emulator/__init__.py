"""Emulator of Qoder Cloud Agents."""

from polysession_qoder.emulator.app import QoderEmulator

__all__ = ["QoderEmulator"]
