"""Qoder Cloud Agents, emulated."""

from polysession_qoder.emulator.app import QoderEmulator

__all__ = ["QoderEmulator"]
