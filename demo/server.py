"""A moto server whose clock is set from outside.

An account that was made a second ago has no old access keys and no forgotten snapshots. This server starts in the
past and stands still; `POST /palisade/clock?now=<RFC 3339>` moves it on. Nothing in its answers depends on the time
of day at which it runs, so the same seed records the same answers.

`POST /palisade/activity` tells when credentials were last used (see `patches.py`). `POST /palisade/corrections` puts
the answers of `corrections.py` in place of moto's; `GET /palisade/report` lists those that were never given,
and the services that were taken to be empty because moto lacks them.

    python demo/server.py PORT 2024-03-04T09:00:00Z
"""

import io
import json
import os
import re
import sys
from urllib.parse import parse_qs

# Both are read when moto is imported.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"

import clean_corrections  # noqa: E402
import corrections  # noqa: E402
import patches  # noqa: E402
from freezegun import freeze_time  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, run_simple  # noqa: E402


ACCOUNT = "123456789012"
SCOPE = re.compile(r"Credential=[^/]+/(\d+/[^/]+/[^/]+)/aws4_request")


class Quiet(WSGIRequestHandler):
    """HTTP/1.1 with connections kept open, and no line per request."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


def main(port, start):
    os.environ["MOTO_PORT"] = str(port)
    patches.apply()
    backends = DomainDispatcherApplication(create_backend_app)
    with freeze_time(start) as clock:

        corrected = None

        def application(environ, start):
            nonlocal corrected
            # What the request was signed for, for a recorder that does not see the signature.
            signed = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
            scope = [("X-Palisade-Scope", signed.group(1))] if signed else []

            def start_response(status, headers, *error):
                return start(status, headers + scope, *error)

            if environ["PATH_INFO"] == "/palisade/clock":
                clock.move_to(parse_qs(environ["QUERY_STRING"])["now"][0].rstrip("Z"))
                start_response("204 No Content", [])
                return [b""]
            if environ["PATH_INFO"] == "/palisade/activity":
                facts = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                patches.activity(ACCOUNT, json.loads(facts))
                start_response("204 No Content", [])
                return [b""]
            if environ["PATH_INFO"] == "/palisade/corrections":
                company = parse_qs(environ["QUERY_STRING"])["company"][0]
                corrected = corrections.Corrections() if company == "tidewater" else clean_corrections.corrections()
                start_response("204 No Content", [])
                return [b""]
            if environ["PATH_INFO"] == "/palisade/report":
                body = json.dumps({"unused": corrected.unused(), "assumed_empty": corrected.assumed()}).encode()
                start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
                return [body]
            if corrected:
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                environ["wsgi.input"] = io.BytesIO(body)
                if answer := corrected.find(environ, body):
                    status, headers, body = answer
                    headers["Content-Length"] = str(len(body))
                    start_response(f"{status} {'OK' if status == 200 else 'Error'}", list(headers.items()))
                    return [body]
            if environ["QUERY_STRING"].split("=")[0] == "policyStatus":
                status, body = patches.policy_status(ACCOUNT, environ["PATH_INFO"].strip("/"))
                start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
                return [body.encode()]
            return backends(environ, start_response)

        run_simple("127.0.0.1", port, application, threaded=True, request_handler=Quiet)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2].rstrip("Z"))
