"""An object store on loopback that keeps Cloud Storage's promises about generations.

PyPI's emulator stores and lists; conditions of a request (`ifGenerationMatch`,
`ifGenerationNotMatch`) and the header that tells a download's generation it leaves out, and
TensorStore and locks stand on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects

Handler = Callable[..., None]


def _generation(request: Any, storage: Any) -> str | None:
    """The generation of the object that a request names, "0" where there is none; None where it
    names none."""
    name = request.params.get("object_id") or (request.query.get("name") or [None])[0]
    if name is None and isinstance(request.data, dict):
        name = request.data.get("meta", {}).get("name")
    if name is None:
        return None
    try:
        return storage.get_file_obj(request.params["bucket_name"], name)["generation"]
    except NotFound:
        return "0"


def _conditional(handler: Handler) -> Handler:
    def answer(request: Any, response: Any, storage: Any, *args: Any, **kwargs: Any) -> None:
        generation = _generation(request, storage)
        wanted = request.query.get("ifGenerationMatch", [generation])[0]
        unwanted = request.query.get("ifGenerationNotMatch", [None])[0]
        if generation is not None and wanted != generation:
            response.status = HTTPStatus.PRECONDITION_FAILED
        elif unwanted is not None and unwanted == generation:
            response.status = HTTPStatus.NOT_MODIFIED
        else:
            if generation and generation != "0":
                response["x-goog-generation"] = generation
            handler(request, response, storage, *args, **kwargs)

    return answer


CONDITIONAL = {objects.insert, objects.get, objects.download, objects.delete}


def start(bucket: str) -> tuple[Any, str]:
    """A running server with one empty bucket, and its URL."""
    for pattern, methods in server.HANDLERS:
        if re.search("bucket_name", pattern):
            for method, handler in methods.items():
                if handler in CONDITIONAL:
                    methods[method] = _conditional(handler)
    running = server.create_server("127.0.0.1", 0, in_memory=True, default_bucket=bucket)
    running.start()
    host, port = running._api._httpd.socket.getsockname()[:2]
    return running, f"http://{host}:{port}"
