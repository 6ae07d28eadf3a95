"""Reading and writing tables of problems and recorded samples."""
