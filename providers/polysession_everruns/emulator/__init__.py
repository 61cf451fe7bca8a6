"""Everruns' management API, emulated."""

from polysession_everruns.emulator.app import EverrunsEmulator

__all__ = ["EverrunsEmulator"]
