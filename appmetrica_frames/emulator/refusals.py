"""Answers that are errors: a status, and a JSON body in the shape that the Management API documents."""

from __future__ import annotations

import json

TYPES = {
    400: "invalid_parameter",
    401: "unauthorized",
    403: "access_denied",
    404: "not_found",
    405: "not_found",
    500: "backend_error",
}


class Refusal(Exception):  # noqa: N818 - it is an answer that travels as an exception, not a fault of ours
    """A request that gets an error status, with the description for its body."""

    def __init__(
        self, status: int, message: str, *, error_type: str | None = None, location: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_type = error_type or TYPES[status]
        self.location = location

    def body(self) -> bytes:
        error = {"error_type": self.error_type, "message": self.message, "location": self.location}
        stated = {word: value for word, value in error.items() if value is not None}
        return json.dumps({"errors": [stated], "code": self.status, "message": self.message}).encode()


def missing(parameter: str) -> Refusal:
    text = f"Required parameter is missing: {parameter}"
    return Refusal(400, text, error_type="missing_parameter", location=parameter)


def invalid(parameter: str, value: str, why: str) -> Refusal:
    return Refusal(400, f"Wrong value of parameter {parameter}: {value!r}, {why}", location=parameter)
