# Puts into the tests' program what keeps its course its own: python_tests_side.py
# says why. The names that are added hold a character that no name of a program
# has, so the tests neither see them nor write over them.
import _ast as ast

builtin_names = frozenset(dir(builtins))
ordering = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
loops = (ast.For, ast.AsyncFor, ast.While)
comprehensions = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
literals = (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set)
ends = (ast.Return, ast.Raise, ast.Break, ast.Continue)
said_nan = ("nan", "isnan", "is_nan")


def parsed(text, name):
    return compile(text, name, "exec", ast.PyCF_ONLY_AST)


def children(node):
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            yield value
        elif type(value) is list:
            for one in value:
                if isinstance(one, ast.AST):
                    yield one


def nodes(node):
    todo = [node]
    while todo:
        one = todo.pop()
        yield one
        todo.extend(children(one))


def placed(node, at):
    """The new node and its new children stand where `at` does."""
    for one in nodes(node):
        if "lineno" in one._attributes and not hasattr(one, "lineno"):
            for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
                setattr(one, name, getattr(at, name))
    return node


def load(name):
    return ast.Name(id=name, ctx=ast.Load())


def called(name, *args):
    return ast.Call(func=load(name), args=list(args), keywords=[])


def mentions_nan(tree):
    """By a name, by a text that is nothing else, or by what only NaN is: unequal
    to itself."""
    for one in nodes(tree):
        if isinstance(one, ast.Constant) and type(one.value) is str:
            if one.value.strip().lstrip("+-").lower() in said_nan:
                return True
        elif isinstance(one, ast.Name) and one.id.lower() in said_nan:
            return True
        elif isinstance(one, ast.Attribute) and one.attr.lower() in said_nan:
            return True
        elif isinstance(one, ast.alias) and one.name.lower() in said_nan:
            return True
        elif isinstance(one, ast.Compare) and isinstance(one.left, ast.Name):
            other = one.comparators[0]
            if isinstance(other, ast.Name) and other.id == one.left.id:
                return True
    return False


def names_in(tree):
    """All names of a program, and the modules that it imports."""
    found = set()
    for one in nodes(tree):
        if isinstance(one, ast.Name):
            found.add(one.id)
        elif isinstance(one, ast.alias):
            found.add(one.name.split(".")[0])
        elif isinstance(one, ast.ImportFrom) and one.module:
            found.add(one.module.split(".")[0])
    return found


def defined_in(body, names, imports):
    """What a program defines at its top level, and what it imports there."""
    for one in body:
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(one.name)
        elif isinstance(one, (ast.Import, ast.ImportFrom)):
            imports.append(one)
        else:
            for part in children(one):
                if isinstance(part, ast.stmt):
                    defined_in([part], names, imports)
                elif isinstance(part, ast.ExceptHandler):
                    defined_in(part.body, names, imports)
                elif not isinstance(one, ast.Expr):
                    for name in nodes(part):
                        if isinstance(getattr(name, "ctx", None), ast.Store):
                            names.add(getattr(name, "id", ""))


def calls_a_function(node):
    """Other than those of the language: it may be the answer's."""
    for one in nodes(node):
        if isinstance(one, ast.Call):
            if not (isinstance(one.func, ast.Name) and one.func.id in builtin_names):
                return True
    return False


def sources(node):
    """The names of what an expression goes through: in `enumerate(cases)` cases."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Starred):
        return sources(node.value)
    if isinstance(node, ast.Call):
        found = [name for arg in node.args for name in sources(arg)]
        if isinstance(node.func, ast.Attribute):
            found += sources(node.func.value)
        return found
    return []


class rewriter:
    def __init__(self, guard_numbers):
        self.guard_numbers = guard_numbers

    def program(self, tree):
        tree.body = self.block(tree.body, False)
        return tree

    def settle(self, at):
        call = ast.Expr(value=called("(settle)"))
        return placed(ast.If(test=load("(views)"), body=[call], orelse=[]), at)

    def block(self, body, settle_first=True):
        out = []
        for one in body:
            first = settle_first and not out
            leads = self.leads(one)
            if first and not leads:
                out.append(self.settle(one))
            out += self.statement(one)
            if not leads and not isinstance(one, ends):
                out.append(self.settle(one))
        return out

    @staticmethod
    def leads(one):
        """Must stay first: a docstring, a __future__."""
        if isinstance(one, ast.Expr):
            return isinstance(one.value, ast.Constant)
        return isinstance(one, ast.ImportFrom) and one.module == "__future__"

    def statement(self, one):
        self.visit(one)
        if isinstance(one, ast.While) and calls_a_function(one):
            through = self.through(None, sources(one.test), one)
            if through:
                return [placed(ast.Expr(value=through), one), one]
        return [one]

    def visit(self, node):
        """Rewrites what is below a node, and the node itself in place."""
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, ast.AST):
                setattr(node, field, self.expression(value))
            elif type(value) is list and value:
                if isinstance(value[0], ast.stmt):
                    setattr(node, field, self.block(value))
                else:
                    for i, one in enumerate(value):
                        if isinstance(one, ast.AST):
                            value[i] = self.expression(one)
        if isinstance(node, ast.ExceptHandler):
            self.handler(node)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            if calls_a_function(ast.Module(body=node.body, type_ignores=[])):
                node.iter = self.through(node.iter, sources(node.iter), node) or node.iter

    def handler(self, node):
        kind = node.type
        named = kind is not None and getattr(kind, "id", "") != "BaseException"
        take = ast.Expr(value=called("(take)", ast.Constant(value=named)))
        node.body.insert(0, placed(take, node))

    def through(self, value, names, at):
        names = [name for name in names if name not in builtin_names]
        if not names:
            return None
        args = ast.Tuple(elts=[load(name) for name in names], ctx=ast.Load())
        return placed(called("(through)", value or ast.Constant(value=None), args), at)

    def expression(self, node):
        if isinstance(node, ast.Constant):
            return node
        calls = isinstance(node, comprehensions) and calls_a_function(node)
        self.visit(node)
        if isinstance(node, ast.withitem):
            node.context_expr = placed(
                called("(with)", node.context_expr), node.context_expr
            )
        elif isinstance(node, ast.Compare) and self.guard_numbers:
            if any(isinstance(one, ordering) for one in node.ops):
                node.left = self.number(node.left)
                node.comparators = [self.number(one) for one in node.comparators]
        elif calls:
            for one in node.generators:
                one.iter = self.through(one.iter, sources(one.iter), one.iter) or one.iter
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr == "__next__":
                node.func, node.args = placed(load("(next)"), node), [node.func.value]
            elif isinstance(node.func, ast.Name) and node.func.id in ("map", "filter"):
                names = [name for arg in node.args[1:] for name in sources(arg)]
                node = self.through(node, names, node) or node
        return node

    def number(self, node):
        if isinstance(node, literals):
            return node
        return placed(called("(number)", node), node)


def rewritten(tree, name, guard_numbers):
    """The code of a parsed program."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(usual * 5)  # a chain of 500 `elif` is 500 levels deep
    try:
        return compile(rewriter(guard_numbers).program(tree), name, "exec")
    finally:
        sys.setrecursionlimit(usual)
