"""Emulator of Everruns' management API."""

from polysession_everruns.emulator.app import EverrunsEmulator

__all__ = ["EverrunsEmulator"]
