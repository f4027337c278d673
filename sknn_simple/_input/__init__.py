"""What users pass: checked, and converted to arrays."""
