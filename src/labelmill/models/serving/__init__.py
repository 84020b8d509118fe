"""Starting vLLM as labelling wants it, watching it until it is ready, and ending it with everything it started."""

from labelmill.models.serving.command import Launch, prepare
from labelmill.models.serving.installation import Installation, find_vllm
from labelmill.models.serving.process import Ending, serve

__all__ = ["Ending", "Installation", "Launch", "find_vllm", "prepare", "serve"]
