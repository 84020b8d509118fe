"""What a running model server can do, and what labelmill will therefore use."""

from labelmill.models.capabilities.examine import examine
from labelmill.models.capabilities.found import Capabilities, describe

__all__ = ["Capabilities", "describe", "examine"]
