# The answer's side: runs the program, then does what the tests ask for. All of
# this is in the answer's hands; the other side believes nothing but data.
#
# A request is (deed, arguments); a reply one of
#   (0, value)                           it is done
#   (0, value, same, [(place, content)]) a call: the place among the given
#                                        containers of the one that it
#                                        returned, and what it changed
#   (1, class, args, text, exception)    an exception left the program
#   (2,)                                 the iterator has ended; there is no
#                                        such name, attribute, length


class nothing_there(Exception):
    pass


def serve(program, requests, replies):
    module = type(sys)("answer")
    sys.modules["answer"] = module
    names = module.__dict__
    exec(compile(program, "answer.py", "exec"), names)
    kept = []
    numbers = {}

    def keep(value):
        # What is kept lives on, so no other object gets its id.
        if id(value) not in numbers:
            numbers[id(value)] = len(kept)
            kept.append(value)
        return numbers[id(value)]

    def known_class(number, where, bases):
        return kept[number]

    def named(name):
        if name not in names:
            raise nothing_there
        return names[name]

    def attribute(value, name):
        try:
            return getattr(value, name)
        except AttributeError:
            raise nothing_there from None

    def length(value):
        if not hasattr(type(value), "__len__"):
            raise nothing_there
        return len(value)

    def following(iterator):
        try:
            return next(iterator)
        except StopIteration:
            raise nothing_there from None

    def contents(given):
        parts = []
        for value in given:
            one = writer(keep, list(given))
            one.content(value)
            parts.append(b"".join(one.out))
        return parts

    deeds = {
        "named": named,
        "attribute": attribute,
        "assign": setattr,
        "item": lambda o, k: o[k],
        "put": lambda o, k, v: o.__setitem__(k, v),
        "remove": lambda o, k: o.__delitem__(k),
        "length": length,
        "iterate": iter,
        "next": following,
        "text": str,
        "shown": repr,
        "true": bool,
        "equal": lambda a, b: a == b,
        "less": lambda a, b: a < b,
        "instance": isinstance,
    }

    def reply(deed, args, given):
        out = writer(keep)
        if deed != "call":
            out.value((0, deeds[deed](*args)))
            return out.out
        before = contents(given)
        value = args[0](*args[1], **args[2])
        same = next((i for i, v in enumerate(given) if v is value), None)
        after = enumerate(contents(given))
        changed = [(i, c) for i, c in after if c != before[i]]
        out.out.append(b"t4;i0;")
        out.value(value)
        out.value(same)
        out.out.append(b"l%x;" % len(changed))
        for place, content in changed:
            out.out.append(b"t2;i%x;" % place)
            out.out.append(content)
        return out.out

    def problem_reply(problem):
        try:
            out = writer(keep)
            out.value((1, type(problem), problem.args, str(problem), problem))
        except BaseException:
            out = writer(keep)
            silent = ("an exception that says nothing",)
            out.value((1, RuntimeError, silent, "", None))
        return out.out

    while True:
        given = []
        data = read_message(requests)
        deed, args = reader(data, kept.__getitem__, known_class, given).value()
        try:
            out = reply(deed, args, given)
        except nothing_there:
            out = [b"t1;i2;"]
        except BaseException as problem:
            out = problem_reply(problem)
        write_message(replies, out)
