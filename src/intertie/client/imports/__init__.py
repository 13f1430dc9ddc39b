"""What people bring from elsewhere, as job specs: sbatch scripts and SkyPilot task files.

Text goes in; a spec comes out, with a note on everything that was asked for. Nothing is read, run
or sent here.
"""

from intertie.client.imports.notes import Imported, Level, Note
from intertie.client.imports.sbatch import from_sbatch, is_sbatch
from intertie.client.imports.sky import from_sky, is_sky

__all__ = ["Imported", "Level", "Note", "from_sbatch", "from_sky", "is_sbatch", "is_sky"]
