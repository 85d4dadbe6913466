"""Configurations of other gateways, turned into ours, with a word on each of their settings.

imported = from_litellm(read_table(Path("config.yaml")), environ=os.environ)
imported.table, imported.lines, imported.exports
"""

from understudy.config.imports.litellm import from_litellm
from understudy.config.imports.report import Export, Fate, Imported, Line
from understudy.config.imports.tomlfile import write_toml

__all__ = ["from_litellm", "write_toml", "Imported", "Line", "Fate", "Export"]
