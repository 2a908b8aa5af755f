"""Compares answers to real pictures with the server's description: described.py BASE KEY FOLDER

FOLDER holds the inputs of the conformance suite. Every answer must fit the schema that
/openapi.json gives for its status.
"""

import base64
import sys
from pathlib import Path

import jsonschema_rs
import requests

PICTURES = {
    "png-rgb.png": 200,
    "print-attack.jpg": 200,
    "two-faces.jpg": 422,
    "no-face.jpg": 422,
    "mask.png": 422,
    "truncated.png": 400,
    "too-large.png": 413,
}


def main(base: str, key: str, folder: str) -> int:
    description = requests.get(f"{base}/openapi.json", timeout=20).json()
    responses = description["components"]["responses"]
    operation = description["paths"]["/liveness/"]["post"]["responses"]
    failures = 0
    for name, status in PICTURES.items():
        image = (Path(folder) / name).read_bytes()
        for details in (True, False):
            for form in (
                {"files": {"image": image}, "data": {"details": str(details)}},
                {"json": {"image_bytes": base64.b64encode(image).decode(), "details": details}},
            ):
                answer = requests.post(
                    f"{base}/liveness/", headers={"X-API-Key": key}, timeout=60, **form
                )
                response = responses[operation[str(answer.status_code)]["$ref"].rpartition("/")[2]]
                schema = {
                    **response["content"]["application/json"]["schema"],
                    "components": description["components"],
                }
                body = answer.json()
                # What failed before the wish for details was read, or has none, answers without.
                told = ("details" in body) == details or status == 413
                errors = [str(error) for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(body)]
                if answer.status_code != status or not told or errors:
                    failures += 1
                    print(f"{name}: {answer.status_code} {body}", *errors, sep="\n  ")
    print(f"{len(PICTURES) * 4 - failures} passed, {failures} failed")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
