"""An AWS endpoint on loopback that keeps state: for operations that moto lacks.

    python tests/live/kept.py tests/live/kept_account.json

Prints its URL. What an operation answers is in the account file; what a changing operation does to that is taken from the
change files (`catalog/changes`), for those that have an entry and for their inverses. Requests are read by the API models of
botocore, answers are written by moto's serializers: the client speaks every protocol as it does with AWS. What the account
file does not answer is refused (400 NotKept), so nothing passes by accident.

GET /_account: the whole state as JSON.   GET /_calls: names of the changing calls that were made.
PUT /_set: answers in place of those of the same names.

The account file: {"resources": {name: value}, "answers": {"service:Operation": answer}}. In answers `{"$ref": name}` is a
resource, the same wherever it is named; `{"$error": code}` is that error; a list `[{"when": {Param: value}, "answer": …}]`
tells by parameters; `{"$kept": "service:Operation", "at": path}` is what that operation answers, as a list, none where it is
an error. "follows" are values of resources that AWS sets by itself: {resource: [{"when": {member: value}, "then": {member: value}}]}.
"""

import datetime
import http.server
import json
import re
import sys
import threading
import tomllib
import urllib.parse
import warnings
from pathlib import Path

import botocore.session
from botocore.parsers import RestXMLParser
from moto.core.serialize import SERIALIZERS

ROOT = Path(__file__).resolve().parents[2]
warnings.filterwarnings("ignore")


# Requests of API models that are newer than this botocore.
LATER = {("ses", "POST", "/v2/email/list-configuration-sets"): ("sesv2", "ListConfigurationSets")}


class Refused(Exception):
    def __init__(self, code, message=""):
        super().__init__(message or code)
        self.code, self.message = code, message or code


# ---------------------------------------------------------------- state


def steps(path):
    """`A[].B[Name=x].C` → [("member", "A"), ("only",), ("member", "B"), ("where", "Name", "x"), ("member", "C")]"""
    found = []
    if path in ("", "."):
        return found
    for name, bracket in re.findall(r"([^.\[\]]+)|\[([^\]]*)\]", path):
        if name:
            found.append(("member", name))
        elif bracket == "":
            found.append(("only",))
        elif bracket == "*":
            found.append(("every",))
        else:
            found.append(("where", *bracket.split("=", 1)))
    return found


def go(value, path, make=False):
    for step in path:
        if step[0] == "member":
            if make and step[1] not in value:
                value[step[1]] = {}
            value = value.get(step[1])
        elif step[0] == "only":
            assert len(value) == 1, "one resource is kept"
            value = value[0]
        elif step[0] == "where":
            value = next((e for e in value if e.get(step[1]) == step[2]), None)
        if value is None:
            return None
    return value


def put(state, path, value):
    """Sets, or takes away when the value is None."""
    path = steps(path)
    if not path:
        state.clear()
        state.update(value or {})
        return
    at = go(state, path[:-1], make=True)
    kind, *name = path[-1]
    assert kind == "member", f"cannot set at {path}"
    if value is None:
        at.pop(name[0], None)
    else:
        at[name[0]] = value


def param(params, path):
    for name in path.split("."):
        if not isinstance(params, dict) or name not in params:
            return None
        params = params[name]
    return params


def filled(template, params, item=None):
    if isinstance(template, str):
        def value(match):
            name = match.group(1)
            return str(item if name == "item" else param(params, name))
        return re.sub(r"\$\{([^}]+)\}", value, template)
    if isinstance(template, list):
        return [filled(t, params, item) for t in template]
    if isinstance(template, dict):
        return {n: filled(t, params, item) for n, t in template.items()}
    return template


class Account:
    def __init__(self, path):
        text = json.loads(Path(path).read_text())
        self.resources = text.get("resources", {})
        self.answers = {name: self.linked(answer) for name, answer in text["answers"].items()}
        self.follows = text.get("follows", {})
        self.calls = []
        self.changes = {}
        for file in (ROOT / "catalog" / "changes").glob("*.toml"):
            self.changes[file.stem] = tomllib.loads(file.read_text()).get("change", {})

    def linked(self, value):
        if isinstance(value, dict):
            if set(value) == {"$ref"}:
                return self.resources[value["$ref"]]
            return {name: self.linked(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.linked(inner) for inner in value]
        return value

    def entry(self, name, params):
        """The holder of an answer and its key."""
        answer = self.answers.get(name)
        if isinstance(answer, list):
            for option in answer:
                if all(param(params, n) == v for n, v in option["when"].items()):
                    return option, "answer"
            raise Refused("NotKept", f"{name} {params}")
        if answer is None:
            raise Refused("NotKept", name)
        return self.answers, name

    def read(self, name, params):
        holder, key = self.entry(name, params)
        answer = holder[key]
        if "$error" in answer:
            raise Refused(answer["$error"])
        return self.resolved(answer)

    def resolved(self, value):
        if isinstance(value, dict):
            if "$kept" in value:
                try:
                    found = go(self.read(value["$kept"], value.get("params", {})), steps(value["at"]))
                except Refused:
                    found = None
                return [] if found is None else [found]
            return {name: self.resolved(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.resolved(inner) for inner in value]
        return value

    # ------------------------------------------------------------ changes

    def change(self, service, operation, params):
        """Does what the change files say of the operation, and what follows from it. False when they say nothing."""
        known = self.changed(service, operation, params)
        for name, rules in self.follows.items():
            resource = self.resources[name]
            for rule in rules:
                if all(resource.get(n) == v for n, v in rule["when"].items()):
                    resource.update(rule["then"])
        return known

    def changed(self, service, operation, params):
        declared = self.changes.get(service, {})
        for name, change in declared.items():
            for inverse in change.get("inverse", []):
                call = inverse.get("call", name)
                if call == operation and self.is_inverse(inverse, params, call == name, change):
                    self.take_back(service, change, inverse, params)
                    return True
        if operation in declared:
            self.make(service, declared[operation], params)
            return True
        return False

    @staticmethod
    def is_inverse(inverse, params, same, change):
        """Of the same operation, those with other parameters than the change itself has."""
        if not same:
            return True
        for name, template in inverse.get("params", {}).items():
            value = params.get(name)
            fixed = isinstance(template, str) and "${" not in template
            if value is None or (fixed and value != template):
                return False
            if isinstance(template, dict) and (not isinstance(value, dict) or set(value) != set(template)):
                return False
        return "${items}" in json.dumps(inverse.get("params", {}))

    def state(self, service, change, params, make):
        read = change["read"]
        wanted = filled(read.get("params", {}), params)
        holder, key = self.entry(f"{service}:{read['call']}", wanted)
        if "$error" in holder[key]:
            if not make:
                return holder, key, None
            holder[key] = {}
        start = steps(filled(read.get("from", "."), params))
        return holder, key, go(holder[key], start, make=make)

    def make(self, service, change, params):
        _, _, before = self.state(service, change, params, make=False)
        _, _, state = self.state(service, change, params, make=True)
        if before is None:  # a new one says what it is of
            for key in change.get("key", []):
                if "." in key:
                    state[key.rsplit(".", 1)[1]] = param(params, key)
        settings = change.get("setting", {})
        flat = {}
        for name, value in settings.items():  # `setting."A.B" = {}` and `setting = { A = {} }` alike
            flat[name] = value
        given = {name for name in flat if param(params, name) is not None}
        for name in given:
            setting, value = flat[name], param(params, name)
            place = filled(setting.get("from", name), params)
            if setting.get("by") and not setting.get("whole"):
                held = go(state, steps(place))
                if held is None:
                    put(state, place, [])
                    held = go(state, steps(place))
                for element in value:
                    old = next((e for e in held if e[setting["by"]] == element[setting["by"]]), None)
                    if old is None:
                        held.append(dict(element))
                    else:
                        old.update(element)
                continue
            if value == "":  # AWS describes no empty text
                put(state, place, None)
                continue
            names = setting.get("values", {})
            shown = next((text for text, v in names.items() if v == value), value)
            put(state, place, shown)
        if change.get("replaces"):
            for name, setting in flat.items():
                below = any(g.startswith(name + ".") or name.startswith(g + ".") for g in given)
                if name not in given and not below and setting.get("from", name) != ".":
                    put(state, filled(setting.get("from", name), params), None)
        for place, value in change.get("makes", {}).items():
            put(state, place, value)
        for kind in ("adds", "removes"):
            if kind in change:
                self.items(state, change[kind], params, adds=kind == "adds", named=None)

    def items(self, state, items, params, adds, named):
        if named is None:
            named = param(params, items["each"]) if "each" in items else [None]
        if named is None:
            return
        place = filled(items["from"], params)
        held = go(state, steps(place))
        if held is None:
            put(state, place, [])
            held = go(state, steps(place))
        for name in named:
            item = filled(items.get("item", "${item}"), params, name)
            same = [e for e in held if e == item or (isinstance(e, dict) and item.items() <= e.items())]
            if adds and not same:
                held.append(item)
            if not adds:
                for element in same:
                    held.remove(element)

    def take_back(self, service, change, inverse, params):
        holder, key, state = self.state(service, change, params, make=False)
        for kind in ("adds", "removes"):
            if kind in change:
                text = json.dumps(inverse.get("params", {}))
                named = [None]
                if "${items}" in text:
                    named = self.where_items(inverse["params"], params)
                self.items(state, change[kind], params, adds=kind == "removes", named=named)
                return
        if inverse.get("absent"):
            absent = change["read"].get("absent")
            if absent:
                holder[key] = {"$error": absent[0]}
                return
        for place, value in {**inverse.get("when", {}), **inverse.get("leaves", {})}.items():
            put(state, place, value)
        for place in inverse.get("missing", []):
            put(state, place, None)

    @classmethod
    def where_items(cls, template, params):
        for name, value in template.items():
            if value == "${items}":
                return params[name]
            if isinstance(value, dict):
                found = cls.where_items(value, params.get(name, {}))
                if found is not None:
                    return found
        return None


# ---------------------------------------------------------------- requests


class Models:
    """API models by what a request says of itself."""

    def __init__(self, names):
        session = botocore.session.get_session()
        self.models = {name: session.get_service_model(name) for name in sorted(names)}

    def operation(self, signing, method, url, headers, body):
        """(name of the service, model of the operation, parameters)"""
        models = {n: m for n, m in self.models.items() if (m.signing_name or m.endpoint_prefix) == signing}
        target = headers.get("x-amz-target")
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) if b"Action=" in body else {}
        for name, model in models.items():
            if target:
                prefix, _, operation = target.rpartition(".")
                if model.metadata.get("targetPrefix") == prefix:
                    return name, model.operation_model(operation), json.loads(body or b"{}")
            elif "Action" in form:
                if model.api_version == form.get("Version") and form["Action"] in model.operation_names:
                    operation = model.operation_model(form["Action"])
                    return name, operation, query(operation.input_shape, form, model.metadata["protocol"] == "ec2")
        found = []
        for name, model in models.items():
            if not model.metadata["protocol"].startswith("rest"):
                continue
            for operation in map(model.operation_model, model.operation_names):
                match = matches(operation, method, url)
                if match:
                    found.append((match[0], name, operation, match[1]))
        if not found and (signing, method, url.path) in LATER:
            name, operation = LATER[signing, method, url.path]
            found = [(None, name, self.models[name].operation_model(operation), {})]
        if not found:
            raise Refused("NotKept", f"{signing} {method} {url.path}")
        _, name, operation, labels = max(found, key=lambda f: f[0])
        return name, operation, rest(operation, labels, url, headers, body, self.models[name].metadata["protocol"])


def matches(operation, method, url):
    if operation.http["method"] != method:
        return None
    path, _, wanted = operation.http["requestUri"].partition("?")
    given = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    for name, value in urllib.parse.parse_qsl(wanted, keep_blank_values=True):
        if name not in given or (value and given[name] != value):
            return None
    pattern, literal = "", 0
    for part in path.strip("/").split("/"):
        if part.startswith("{"):
            greedy = part.endswith("+}")
            pattern += f"/(?P<{part.strip('{}+').replace('-', '_')}>{'.+' if greedy else '[^/]+'})"
        else:
            pattern += "/" + re.escape(part)
            literal += 1
    match = re.fullmatch(pattern + "/?", url.path) if path.strip("/") else re.fullmatch("/?", url.path)
    if not match:
        return None
    # the most literal one is meant, then the one with the most of the query, then the one that is in use
    return (literal, len(wanted), not operation.deprecated), {n: urllib.parse.unquote(v) for n, v in match.groupdict().items()}


def rest(operation, labels, url, headers, body, protocol):
    shape, params = operation.input_shape, {}
    if shape is None:
        return params
    given = urllib.parse.parse_qs(url.query, keep_blank_values=True)
    payload = shape.serialization.get("payload")
    rest_of_body = {}
    for name, member in shape.members.items():
        place, located = member.serialization.get("location"), member.serialization.get("name", name)
        if place == "uri" and located.replace("-", "_") in labels:
            params[name] = labels[located.replace("-", "_")]
        elif place == "querystring" and located in given:
            params[name] = given[located] if member.type_name == "list" else given[located][0]
        elif place == "header" and located.lower() in headers:
            params[name] = headers[located.lower()]
        elif place is None:
            rest_of_body[name] = member
    if not body:
        return params
    if payload and shape.members[payload].type_name in ("string", "blob"):
        params[payload] = body.decode()
    elif protocol == "rest-xml":
        parser = RestXMLParser()
        root = parser._parse_xml_string_to_dom(body)
        value = parser._parse_shape(shape.members[payload] if payload else shape, root)
        params.update({payload: value} if payload else value)
    else:
        value = json.loads(body)
        if payload:
            params[payload] = named(value, shape.members[payload])
        else:
            for name, member in rest_of_body.items():
                located = member.serialization.get("name", name)
                if located in value:
                    params[name] = named(value[located], member)
    return params


def named(value, shape):
    """JSON of a request with the members' own names."""
    if shape.type_name == "structure":
        located = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        return {located[n][0]: named(v, located[n][1]) for n, v in value.items() if n in located}
    if shape.type_name == "list":
        return [named(v, shape.member) for v in value]
    if shape.type_name == "map":
        return {n: named(v, shape.value) for n, v in value.items()}
    return value


def query(shape, form, ec2):
    """Parameters of a form, by the shape; None where there are none."""

    def value(shape, prefix):
        if shape.type_name == "structure":
            found = {}
            for name, member in shape.members.items():
                located = member.serialization.get("name", name)
                if ec2:
                    located = member.serialization.get("queryName") or located[0].upper() + located[1:]
                elif member.type_name == "list" and member.serialization.get("flattened"):
                    located = member.member.serialization.get("name", located)
                inner = value(member, f"{prefix}.{located}" if prefix else located)
                if inner is not None:
                    found[name] = inner
            return found or None
        below = {key[len(prefix) + 1:].split(".")[0] for key in form if key.startswith(prefix + ".")}
        if shape.type_name == "list":
            flat = ec2 or shape.serialization.get("flattened")
            inside = prefix if flat else f"{prefix}.{shape.member.serialization.get('name', 'member')}"
            if not flat:
                below = {key[len(inside) + 1:].split(".")[0] for key in form if key.startswith(inside + ".")}
            if not below:
                return [] if prefix in form else None
            return [value(shape.member, f"{inside}.{n}") for n in sorted(below, key=int)]
        if shape.type_name == "map":
            inside = prefix if shape.serialization.get("flattened") else f"{prefix}.entry"
            key_name = shape.key.serialization.get("name", "key")
            value_name = shape.value.serialization.get("name", "value")
            found, n = {}, 1
            while f"{inside}.{n}.{key_name}" in form:
                found[form[f"{inside}.{n}.{key_name}"]] = value(shape.value, f"{inside}.{n}.{value_name}")
                n += 1
            return found or None
        if prefix not in form:
            return None
        text = form[prefix]
        return {"integer": int, "long": int, "double": float, "float": float, "boolean": lambda t: t == "true"}.get(shape.type_name, str)(text)

    return (value(shape, "") if shape else None) or {}


# ---------------------------------------------------------------- server


def timed(value, shape):
    """JSON's texts as the serializers want times and blobs."""
    if value is None or shape is None:
        return value
    if shape.type_name == "structure":
        return {n: timed(v, shape.members[n]) for n, v in value.items() if n in shape.members}
    if shape.type_name == "list":
        return [timed(v, shape.member) for v in value]
    if shape.type_name == "map":
        return {n: timed(v, shape.value) for n, v in value.items()}
    if shape.type_name == "timestamp" and isinstance(value, str):
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return value


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        account = self.server.account
        if url.path in ("/_account", "/_calls"):
            value = account.answers if url.path == "/_account" else account.calls
            return self.send(200, {"Content-Type": "application/json"}, json.dumps(value, sort_keys=True))
        if url.path == "/_set":
            account.answers.update(json.loads(body))
            return self.send(200, {}, "")
        headers = {name.lower(): value for name, value in self.headers.items()}
        signing = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", headers.get("authorization", ""))
        with self.server.lock:
            try:
                name, operation, params = self.server.models.operation(signing.group(1) if signing else "", self.command, url, headers, body)
            except Refused as refused:
                print("not kept:", refused.message, file=sys.stderr, flush=True)
                return self.send(400, {"Content-Type": "application/json"}, json.dumps({"__type": refused.code, "message": refused.message}))
            serializer = SERIALIZERS[self.server.models.models[name].metadata["protocol"]](operation)
            try:
                if account.change(name, operation.name, params):
                    account.calls.append(f"{name}:{operation.name}")
                    answer = {}
                else:
                    answer = account.read(f"{name}:{operation.name}", params)
                result = serializer.serialize(timed(answer, operation.output_shape))
            except Refused as refused:
                if refused.code == "NotKept":
                    print("not kept:", refused.message, file=sys.stderr, flush=True)
                result = serializer.serialize(refused)
                result["status_code"] = 400 if result["status_code"] < 400 else result["status_code"]
        self.send(result["status_code"], result["headers"], result["body"])

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer

    def send(self, status, headers, body):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.account = Account(sys.argv[1])
    server.lock = threading.Lock()
    server.models = Models({name.split(":")[0] for name in server.account.answers})
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
