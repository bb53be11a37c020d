# Runs the tests of an example against the program of an answer. Two processes:
# this one, which never runs a line of the answer and writes the verdict, and a
# fork of it that runs the answer and is asked over pipes. What crosses is plain
# data that is built anew on this side, so an answer cannot end, patch or
# imitate its tests. The fork was made before the tests and the word that means
# success were read; in the sandbox it sees no /proc and may not trace.
#
# Standard input: program, prompt, tests, entry point and word, each behind
# eight bytes of length. Standard output: the word, if all tests passed. Exit
# codes: 0 passed, 1 failed, 3 the tests themselves do not compile.
#
# Only built-in modules: others take longer to import than most tests to run.
import builtins
import posix
import sys
import _signal


# ---- the wire: a value is a tag and, behind it, its content


def encode(value, out, keep):
    kind = type(value)
    if value is None:
        out.append(b"N")
    elif kind is bool:
        out.append(b"T" if value else b"F")
    elif isinstance(value, int):
        out.append(b"i%x;" % value if value >= 0 else b"i-%x;" % -int(value))
    elif isinstance(value, float):
        out.append(b"d" + float.hex(value).encode() + b";")
    elif isinstance(value, complex):
        out.append(b"c")
        encode(value.real, out, keep)
        encode(value.imag, out, keep)
    elif isinstance(value, str):
        text = str.encode(value, "utf-8", "surrogatepass")
        out.append(b"s%x;" % len(text))
        out.append(text)
    elif isinstance(value, (bytes, bytearray)):
        out.append(b"b%x;" % len(value))
        out.append(bytes(value))
    elif isinstance(value, dict):
        out.append(b"m%x;" % len(value))
        for key, item in dict.items(value):
            encode(key, out, keep)
            encode(item, out, keep)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for base, tag in ((list, b"l"), (tuple, b"t"), (set, b"e"), (frozenset, b"z")):
            if isinstance(value, base):
                items = list(base.__iter__(value))
                out.append(tag + b"%x;" % len(items))
                for item in items:
                    encode(item, out, keep)
                break
    else:
        out.append(b"o%x;" % keep(value))


def decode(data, at, find):
    tag = data[at : at + 1]
    at += 1
    if tag == b"N":
        return None, at
    if tag == b"T":
        return True, at
    if tag == b"F":
        return False, at
    if tag == b"c":
        real, at = decode(data, at, find)
        imag, at = decode(data, at, find)
        return complex(real, imag), at
    end = data.index(b";", at)
    head = data[at:end].decode()
    at = end + 1
    if tag == b"d":
        return float.fromhex(head), at
    number = int(head, 16)
    if tag == b"i":
        return number, at
    if tag == b"o":
        return find(number), at
    if tag == b"s":
        return data[at : at + number].decode("utf-8", "surrogatepass"), at + number
    if tag == b"b":
        return data[at : at + number], at + number
    items = []
    for _ in range(number * (2 if tag == b"m" else 1)):
        item, at = decode(data, at, find)
        items.append(item)
    if tag == b"m":
        return dict(zip(items[::2], items[1::2])), at
    return {b"l": list, b"t": tuple, b"e": set, b"z": frozenset}[tag](items), at


def read_exactly(file, count):
    parts = []
    while count > 0:
        part = posix.read(file, min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_message(file):
    return read_exactly(file, int.from_bytes(read_exactly(file, 8), "big"))


def write_message(file, parts):
    data = b"".join(parts)
    data = len(data).to_bytes(8, "big") + data
    at = 0
    while at < len(data):
        at += posix.write(file, data[at : at + (1 << 20)])


# ---- the answer's side


def serve(program, requests, replies):
    module = type(sys)("answer")
    sys.modules["answer"] = module
    names = module.__dict__
    exec(compile(program, "answer.py", "exec"), names)
    kept = []

    def keep(value):
        kept.append(value)
        return len(kept) - 1

    def find(number):
        return kept[number]

    def named(name):
        return (True, names[name]) if name in names else (False, None)

    deeds = {
        "named": named,
        "call": lambda f, args, named: f(*args, **named),
        "attribute": getattr,
        "assign": setattr,
        "item": lambda o, k: o[k],
        "put": lambda o, k, v: o.__setitem__(k, v),
        "remove": lambda o, k: o.__delitem__(k),
        "length": len,
        "list": list,
        "next": next,
        "text": str,
        "shown": repr,
        "true": bool,
        "equal": lambda a, b: a == b,
        "less": lambda a, b: a < b,
    }
    while True:
        (deed, args), _ = decode(read_message(requests), 0, find)
        out = []
        try:
            value = deeds[deed](*args)
            given = args[1] if deed == "call" else ()
            encode((True, value, [v for v in given if type(v) in (list, dict, set)]), out, keep)
        except Exception as problem:
            out = []
            encode((False, type(problem).__name__, str(problem)), out, keep)
        write_message(replies, out)


# ---- the tests' side


def ask(deed, *args):
    out = []
    encode((deed, args), out, remote.number)
    write_message(to_answer, out)
    (fine, value, more), _ = decode(read_message(from_answer), 0, remote)
    if not fine:
        kind = getattr(builtins, str(value), None)
        if not (type(kind) is type and issubclass(kind, Exception)):
            kind = Exception
        try:
            problem = kind(str(more))
        except Exception:
            problem = Exception(str(more))
        raise problem
    if deed == "call":
        # What the answer did to the lists, dicts and sets that it was given.
        given = [v for v in args[1] if type(v) in (list, dict, set)]
        for before, after in zip(given, more):
            if type(before) is not type(after):
                continue
            if type(before) is list:
                before[:] = after
            else:
                before.clear()
                before.update(after)
    return value


def flag(value):
    return value is True


class remote:
    """A function or object of the answer."""

    def __init__(self, number):
        object.__setattr__(self, "_number", number)

    @staticmethod
    def number(value):
        if type(value) is not remote:
            raise TypeError("only plain values can be passed to the answer")
        return object.__getattribute__(value, "_number")

    def __call__(self, *args, **named):
        return ask("call", self, args, named)

    def __getattr__(self, name):
        return ask("attribute", self, name)

    def __setattr__(self, name, value):
        ask("assign", self, name, value)

    def __getitem__(self, key):
        return ask("item", self, key)

    def __setitem__(self, key, value):
        ask("put", self, key, value)

    def __delitem__(self, key):
        ask("remove", self, key)

    def __contains__(self, key):
        return key in list(self)

    def __len__(self):
        return ask("length", self)

    def __iter__(self):
        return iter(ask("list", self))

    def __next__(self):
        return ask("next", self)

    def __str__(self):
        return str(ask("text", self))

    def __repr__(self):
        return str(ask("shown", self))

    def __bool__(self):
        return flag(ask("true", self))

    # Never equal to a plain value: that would be for the answer to say.
    def __eq__(self, other):
        return type(other) is remote and flag(ask("equal", self, other))

    def __lt__(self, other):
        return type(other) is remote and flag(ask("less", self, other))

    def __hash__(self):
        return remote.number(self)


def names_in(code):
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            found |= names_in(constant)
    return found


def test(prompt, tests, entry_point):
    try:
        code = compile(tests, "tests.py", "exec")
    except (SyntaxError, ValueError):
        posix._exit(3)
    names = {"__name__": "tests"}
    try:  # where the prompt is code, its helpers serve the tests unchanged
        exec(compile(prompt, "prompt.py", "exec"), names)
    except Exception:
        names = {"__name__": "tests"}
    names.pop(entry_point, None)
    wanted = names_in(code) - set(names) - set(dir(builtins))
    if entry_point:
        wanted = (wanted | {entry_point}) - {"check"}
    for name in sorted(wanted):
        found, value = ask("named", name)
        if flag(found):
            names[name] = value
    candidate = names.get(entry_point)
    exec(code, names)
    if entry_point and "check" in names:
        if type(candidate) is not remote:
            raise NameError(entry_point)
        names["check"](candidate)


def main():
    program = read_message(0)
    requests, to_child = posix.pipe()
    from_child, replies = posix.pipe()
    if posix.fork() == 0:
        nothing = posix.open("/dev/null", posix.O_RDWR)
        for file in (0, 1, 2):
            posix.dup2(nothing, file)
        for file in (nothing, to_child, from_child):
            posix.close(file)
        serve(program, requests, replies)
        posix._exit(0)
    posix.close(requests)
    posix.close(replies)
    prompt, tests, entry_point, word = (read_message(0) for _ in range(4))
    global to_answer, from_answer
    to_answer, from_answer = to_child, from_child
    test(prompt, tests, entry_point.decode())
    posix.write(1, word)


# The answer may send signals; none may become an exception in the tests.
_signal.signal(_signal.SIGINT, _signal.SIG_DFL)
code = 1
try:
    main()
    code = 0
except BaseException as problem:
    try:
        posix.write(2, (type(problem).__name__ + ": " + str(problem)).encode()[:2000])
    except BaseException:
        pass
posix._exit(code)
