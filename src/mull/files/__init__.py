"""Files of lines that people keep and mull writes."""
