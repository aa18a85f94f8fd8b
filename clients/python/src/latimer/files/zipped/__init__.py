"""Documents that are zip archives of XML: bounded reading, and copies that change only the members with new text."""
