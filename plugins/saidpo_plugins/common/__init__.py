"""What components of several kinds share; no component lives here."""
