# Runs the tests of an example against the program of an answer. Two processes:
# this one, which never runs a line of the answer and writes the verdict, and a
# fork of it that runs the answer and is asked over pipes. What crosses is plain
# data that is built anew on this side, so an answer cannot end, patch or
# imitate its tests. The fork was made before the tests and the word that means
# success were read; in the sandbox it sees no /proc and may not trace.
#
# Standard input: program, prompt, tests, entry point, reference (the program of
# the example's answer) and word, each behind eight bytes of length. Standard
# output: the word, if all tests passed. Standard error: its last line says why
# not. Exit codes: 0 passed, 1 failed, 3 the tests themselves do not compile.


def take_what_is_handled(named):
    take(sys.exc_info()[1], named)


def next_of(*given):
    """The tests' next(). An end that it finds ends their own loops only where
    they say so: it is taken like an exception of the answer, but for the
    __next__ of an iterator of theirs."""
    try:
        return next(*given)
    except StopIteration as end:
        if sys._getframe(1).f_code.co_name != "__next__":
            await_taker(end)
        raise


def through(value, names):
    for one in names:
        if mutable(one) and not one and same_problem(one, emptied):
            fail("the tests go through what the answer has emptied")
    return value


def not_nan(value):
    if type(value) is float and value != value:
        fail("the tests compare with NaN; neither they nor the reference mention it")
    return value


class taken:
    """A `with` of the tests: what it lets nobody see is expected. An object of
    the answer may begin and end one, and suppress nothing."""

    def __init__(self, inner):
        self.inner = inner

    def __enter__(self):
        if type(self.inner) is remote:
            return self.inner.__getattr__("__enter__")()
        return type(self.inner).__enter__(self.inner)

    def __exit__(self, kind, problem, trace):
        if type(self.inner) is remote:
            self.inner.__getattr__("__exit__")(None, None, None)
            return False
        gone = type(self.inner).__exit__(self.inner, kind, problem, trace)
        if gone and problem is not None:
            take(problem)
        return gone

    async def __aenter__(self):
        return await type(self.inner).__aenter__(self.inner)

    async def __aexit__(self, kind, problem, trace):
        inner = self.inner
        gone = await type(inner).__aexit__(inner, kind, problem, trace)
        if gone and problem is not None:
            take(problem)
        return gone


def own_names():
    return {
        "__name__": "tests",
        "next": next_of,
        "(next)": next_of,
        "(settle)": settle,
        "(views)": views,
        "(take)": take_what_is_handled,
        "(with)": taken,
        "(number)": not_nan,
        "(through)": through,
    }


def names_of_prompt(prompt, entry_point):
    """Where the prompt is code, its helpers serve the tests."""
    names = own_names()
    try:
        exec(rewritten(parsed(prompt, "prompt.py"), "prompt.py", False), names)
    except Exception:
        names = own_names()
    names.pop(entry_point, None)
    return names


def tree_of(text, name):
    try:
        return parsed(text, name)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def give(names, used, entry_point, reference):
    """The names that come from the answer: the entry point, and those that the
    reference defines. What the reference imports is imported here. Where
    neither names anything, all that the tests use and nobody defines."""
    of_reference, imports = set(), []
    defined_in(reference.body, of_reference, imports)
    for one in imports:
        made = {a.asname or a.name.split(".")[0] for a in one.names}
        if made & used - set(names):
            try:
                tree = ast.Module(body=[one], type_ignores=[])
                exec(compile(tree, "reference.py", "exec"), names)
            except Exception:
                pass
    wanted = of_reference & used
    if entry_point:
        wanted.add(entry_point)
    elif not of_reference:
        wanted = used - builtin_names
    for name in sorted(wanted - {n for n in names if names[n] is not next_of}):
        value = ask("named", name)
        if value is not nothing:
            names[name] = value
        elif name == entry_point or name in builtin_names:
            fail("the answer does not define " + name)


def test(program, prompt, tests, entry_point, reference):
    global nan_is_fine
    judged = tree_of(reference, "reference.py")
    # A reference that is judged itself is no witness of its own.
    nan_is_fine = program != reference and mentions_nan(judged)
    try:
        tree = parsed(tests, "tests.py")
        used = names_in(tree)
        nan_is_fine = nan_is_fine or mentions_nan(tree)
        code = rewritten(tree, "tests.py", not nan_is_fine)
    except (SyntaxError, ValueError):
        posix._exit(3)
    names = names_of_prompt(prompt, entry_point)
    if "unittest" in used:
        watch_unittest()
    give(names, used, entry_point, judged)
    candidate = names.get(entry_point)
    exec(code, names)
    if entry_point and type(names.get("check", candidate)) is not remote:
        if type(candidate) is not remote:
            raise NameError(entry_point)
        names["check"](candidate)
    if pending:
        fail("no test expects what the answer raised: " + found(pending[0]))


def main():
    program = read_message(0)
    requests, to_child = posix.pipe()
    from_child, replies = posix.pipe()
    if posix.fork() == 0:
        no_file = posix.open("/dev/null", posix.O_RDWR)
        for file in (0, 1, 2):
            posix.dup2(no_file, file)
        for file in (no_file, to_child, from_child):
            posix.close(file)
        serve(program, requests, replies)
        posix._exit(0)
    posix.close(requests)
    posix.close(replies)
    prompt, tests, entry_point = (read_message(0) for _ in range(3))
    reference, word = read_message(0), read_message(0)
    global to_answer, from_answer
    to_answer, from_answer = to_child, from_child
    test(program, prompt, tests, entry_point.decode(), reference)
    posix.write(1, word)


# The answer may send signals; none may become an exception in the tests.
_signal.signal(_signal.SIGINT, _signal.SIG_DFL)
code = 1
try:
    main()
    code = 0
except BaseException as problem:
    try:
        fail(found(problem))
    except BaseException:
        pass
posix._exit(code)
