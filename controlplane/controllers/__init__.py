"""The controllers: loops that make the cluster look like what the API asks for. Start reading in README.md."""

from controlplane.controllers.registry import all_controllers

__all__ = ["all_controllers"]
