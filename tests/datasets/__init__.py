"""The series that the package ships."""
