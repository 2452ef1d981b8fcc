"""Plugins: found by their entry points, loaded where the registry switches them on, called without trusting them."""

from dotpeen.plugins.answers import RESERVED_COMMANDS
from dotpeen.plugins.description import PluginInfo
from dotpeen.plugins.installed import installed_plugins
from dotpeen.plugins.plugins import Plugins, load_plugins

__all__ = ["RESERVED_COMMANDS", "PluginInfo", "Plugins", "installed_plugins", "load_plugins"]
