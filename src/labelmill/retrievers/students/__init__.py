"""Students: cheap models of what a dear program says, which label alone or find candidates beside other lanes."""

from labelmill.retrievers.students.folder import StudentFolder, write_student
from labelmill.retrievers.students.student import Student

__all__ = ["Student", "StudentFolder", "write_student"]
