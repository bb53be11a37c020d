# The tests' side: what they see of the answer. Nothing that the answer does may
# steer them. An exception that leaves the answer is pending until the tests take
# it in an `except` or `with` of theirs; one that nothing has taken when they
# end fails them, wherever it got lost. What the answer changes in a container of
# the tests arrives when their statement has ended. python_rewriting.py puts the
# calls that this takes into the tests.


def fail(reason):
    """Ends the judging; no test can catch that."""
    try:
        posix.write(2, reason.encode("utf-8", "backslashreplace")[:2000])
    finally:
        posix._exit(1)


def found(problem):
    return type(problem).__name__ + ": " + str(problem)


pending = []  # exceptions that nobody has taken yet
views = {}  # id: (container of the tests, what the answer has made of it)
emptied = []  # containers of the tests that the answer has emptied
remotes = {}  # what stands for the answer's objects, by number
classes = {}  # and for its exception classes
asking = _thread.allocate_lock()
torn = False  # a question got no answer: what comes next belongs to it
nan_is_fine = False
groups = getattr(builtins, "BaseExceptionGroup", ())


# ---- exceptions


def same_problem(one, other):
    return any(one is p for p in other)


def await_taker(problem):
    pending.append(problem)


def watch_unittest():
    """assertRaises(ValueError, f, -1) expects an exception too."""
    from unittest import case

    context = case._AssertRaisesContext
    leave = context.__exit__

    def leave_and_take(self, kind, problem, trace):
        gone = leave(self, kind, problem, trace)
        if gone and problem is not None:
            take(problem)
        return gone

    context.__exit__ = leave_and_take


def take(problem, named=True):
    """The tests expect this exception, and those that it came from. A bare
    `except` expects no exit and no interrupt."""
    seen = []
    todo = [problem]
    while todo:
        one = todo.pop()
        if one is None or same_problem(one, seen):
            continue
        seen.append(one)
        todo += [one.__cause__, one.__context__]
        if isinstance(one, groups):
            todo += one.exceptions
    pending[:] = [
        p
        for p in pending
        if not (same_problem(p, seen) and (named or isinstance(p, Exception)))
    ]


def exception_class(number, where, bases):
    """What stands for an exception class that is none of the builtins: the
    tests' own where they have imported it, else one made after it."""
    if number not in classes:
        module, name = where
        made = None
        if module != "answer":
            made = vars(sys.modules.get(module, builtins)).get(name)
        if not is_problem(made):
            if not any(issubclass(base, of_answer) for base in bases):
                bases = [of_answer, *bases]
            made = type(str(name), tuple(bases), {})
            made._number = number
        classes[number] = made
    return classes[number]


class of_answer:
    """The members of exception classes that are made after the answer's."""

    _text = _origin = None

    def __str__(self):
        if self._text is None:
            return BaseException.__str__(self)
        return self._text

    def __getattr__(self, name):
        if self._origin is None or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._origin, name)


def problem_of(kind, args, text, origin):
    if not is_problem(kind):
        raise ValueError
    # These three would end a loop of the tests as if it had come to its end.
    if issubclass(kind, (StopIteration, StopAsyncIteration, GeneratorExit)):
        return RuntimeError("the answer raised " + kind.__name__)
    try:
        problem = kind(*args)
    except Exception:
        try:
            problem = kind.__new__(kind)
            problem.args = args
        except Exception:
            return RuntimeError("the answer raised " + kind.__name__)
    if issubclass(kind, of_answer):
        problem._text = text
        problem._origin = origin
    return problem


# ---- questions


class reply_reader(reader):
    def number(self, value):
        if value != value and not nan_is_fine:
            fail("the answer gave NaN, which neither tests nor reference mention")
        return value

    def builtin(self, value):
        if not isinstance(value, type):
            raise ValueError
        return value


def number_of(value):
    if type(value) is remote:
        return object.__getattribute__(value, "_number")
    if is_problem(value) and "_number" in vars(value):
        return value._number
    raise TypeError("only plain values can be passed to the answer")


def remote_of(number):
    if number not in remotes:
        remotes[number] = remote(number)
    return remotes[number]


def ask(deed, *args):
    """The answer's reply; `nothing` where it says that there is none."""
    global torn
    given = []
    request = writer(number_of, given, seen_by_answer)
    request.value((deed, args))
    with asking:
        if torn:
            fail("the answer was interrupted")
        torn = True
        try:
            write_message(to_answer, request.out)
            data = read_message(from_answer)
        except (OSError, EOFError):
            fail("the answer's program has ended")
        except MemoryError:
            fail("the answer's reply does not fit in memory")
        torn = False
        try:
            out = reply_reader(data, remote_of, exception_class, given, True).value()
            if out[0] == 1:
                problem = problem_of(*out[1:])
            elif out[0] == 0 and deed == "call":
                return result_of_call(given, *out[1:])
        except BaseException as problem:
            fail("the answer sent no reply that can be read: " + found(problem))
    if out[0] == 1:
        await_taker(problem)
        raise problem
    if out[0] == 2 and deed not in ("named", "attribute", "length", "next"):
        fail("the answer sent a reply to another question")
    return out[1] if out[0] == 0 else nothing


def result_of_call(given, value, same, changed):
    for place, content in changed:
        container = given[place]
        if not mutable(content) or not isinstance(container, type(content)):
            raise ValueError
        views[id(container)] = (container, content)
    # What it was given and did not change is the same object, not a copy.
    if same is not None and not changed and id(given[same]) not in views:
        return given[same]
    return value


def seen_by_answer(container):
    return views.get(id(container), (None, container))[1]


def settle():
    """The statement has ended: the tests see what the answer has changed."""
    while views:
        container, content = views.popitem()[1]
        if len(container) and not len(content):
            emptied.append(container)
        if isinstance(container, (list, bytearray)):
            if not alike(container, content):
                container[:] = content
        elif isinstance(container, set):
            if container != content:
                container.clear()
                container.update(content)
        elif alike(list(container), list(content)):
            # Who goes through a dict may see its values change.
            for key, value in content.items():
                if not alike([dict.get(container, key)], [value]):
                    container[key] = value
        else:
            container.clear()
            container.update(content)


def alike(one, other):
    return len(one) == len(other) and all(
        a is b or (type(a) is type(b) and not mutable(a) and a == b)
        for a, b in zip(one, other)
    )


nothing = object()


class remote:
    """A function or object of the answer."""

    def __init__(self, number):
        object.__setattr__(self, "_number", number)

    def __call__(self, *args, **named):
        return ask("call", self, args, named)

    def __getattr__(self, name):
        value = ask("attribute", self, name)
        if value is nothing:
            raise AttributeError(name)
        return value

    def __setattr__(self, name, value):
        ask("assign", self, name, value)

    def __getitem__(self, key):
        return ask("item", self, key)

    def __setitem__(self, key, value):
        ask("put", self, key, value)

    def __delitem__(self, key):
        ask("remove", self, key)

    def __contains__(self, key):
        return any(item is key or item == key for item in self)

    def __len__(self):
        value = ask("length", self)
        if value is nothing:  # so says list() too, which then does without
            raise TypeError("the answer's object has no length")
        return value

    def __iter__(self):
        return ask("iterate", self)

    def __next__(self):
        value = ask("next", self)
        if value is nothing:
            raise StopIteration
        return value

    def __str__(self):
        return str(ask("text", self))

    def __repr__(self):
        return str(ask("shown", self))

    def __bool__(self):
        return ask("true", self) is True

    # Never equal to a plain value, nor ordered with one: that would be for the
    # answer to say.
    def __eq__(self, other):
        return type(other) is remote and ask("equal", self, other) is True

    def __lt__(self, other):
        if type(other) is not remote:
            return NotImplemented
        return ask("less", self, other) is True

    def __instancecheck__(self, value):
        return type(value) is remote and ask("instance", value, self) is True

    def __hash__(self):
        return number_of(self)
