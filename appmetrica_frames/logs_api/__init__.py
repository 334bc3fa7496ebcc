"""The conversation with the Logs API and the Management API."""
