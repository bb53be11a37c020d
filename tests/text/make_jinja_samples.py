"""Renders templates with Jinja2, set up as transformers sets it up, and writes
jinja_samples.json and jinja_arguments.json: what text/chat_template.hpp has to
agree with.

    python tests/text/make_jinja_samples.py     (needs jinja2, nothing else)

jinja_arguments.json has every argument of every filter, test, method and
function, by place and by name, with values that are none, and too many: pairs
of a template and its text, or null where Python refuses it.
"""

import datetime
import json
import pathlib

from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

SOURCES = [
    # White space.
    "a\n{% if true %}\n  b\n{% endif %}\nc\n",
    "a  \n   {% if true %}   \nb{% endif %}",
    "{%- for m in messages -%}  x  {%- endfor -%}  \n",
    "x {# a comment #} y\n",
    "{{ 'a' }}\n{{ 'b' }}\n\n",
    "{% raw %}{{ x }}{% endraw %}",
    "  {%+ if true %}a{% endif %}",
    # Printing.
    "{{ none }} {{ true }} {{ false }} {{ 1 }} {{ 1.0 }} {{ 1.5 }} {{ -3 }}",
    "{{ [1, 'a', none, true, 2.5, [], {}] }}",
    "{{ {'a': 1, 'b': [\"it's\", 'q\"q', 'l\nl']} }}",
    "{{ messages }}",
    "[{{ missing }}]",
    "{{ ['\\\\', '\t'] }}",
    # Special tokens and what transformers defines.
    "{{ bos_token }}{{ eos_token }}|{{ unk_token }}|",
    "{{ tools is none }} {{ documents is none }} {{ tools is defined }}",
    "{% if add_generation_prompt %}yes{% endif %}",
    "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S') }}",
    "{{ strftime_now('%A %B %j %y %I %p %a %-d %%') }}",
    # Arithmetic.
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }}",
    "{{ 7 / 2 }} {{ 4 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }}",
    "{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ -(2) }}",
    "{{ 1 + true }} {{ 1 == 1.0 }} {{ true == 1 }}",
    "{{ 'ab' * 3 }}{{ 2 * 'x' }} {{ [1] * 2 }} {{ [1] + [2] }}",
    "{{ 'a' ~ 1 ~ none ~ true ~ 1.5 ~ [1] }}",
    "{{ 'a' + 'b' ~ 'c' }}",
    # Comparisons and logic.
    "{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 'a' < 'b' }}",
    "{{ 'x' in 'xyz' }} {{ 1 in [1, 2] }} {{ 3 not in [1] }}",
    "{{ 'role' in messages[0] }} {{ 'nope' in messages[0] }}",
    "{{ 1 and 2 }} {{ 0 and 2 }} {{ 0 or 'x' }} {{ 'y' or 'x' }}",
    "{{ not none }} {{ not 'a' }} {{ not missing }}",
    "{{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1} }} {{ 'a' != 1 }}",
    "{{ none == missing }} {{ missing == missing2 }}",
    "{{ 'a' if false else 'b' }}[{{ 'a' if false }}]",
    # Items and slices.
    "{{ messages[0]['role'] }} {{ messages[0].role }} {{ messages[-1].content }}",
    "[{{ messages[5] }}][{{ messages[0].nope }}]",
    "{{ 'hello'[1] }} {{ 'hello'[-1] }} {{ 'héllo'[1:3] }}",
    "{{ 'hello'[::-1] }} {{ 'hello'[::2] }} {{ 'hello'[-3:] }}",
    "{{ 'hello'[:-2] }} {{ 'hello'[4:1:-1] }} {{ 'hello'[99:] }}|",
    "{{ [1, 2, 3, 4][1:] }} {{ [1, 2, 3][::-1] }} {{ [1, 2, 3][-9:2] }}",
    "{{ [1, 2, 3][:0:-1] }} {{ [1, 2, 3, 4, 5][-2:-5:-2] }}",
    # Loops.
    "{% for x in [1, 2, 3] %}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}",
    "{% for x in 'abc' %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}"
    "{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for x in [1, 2, 3] %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}",
    "{% for x in [] %}a{% else %}none{% endfor %}",
    "{% for x in missing %}a{% else %}none{% endfor %}",
    "{% for x in range(10) if x % 3 == 0 %}{{ loop.index }}:{{ x }} {% endfor %}",
    "{% for x in range(3) %}{% for y in range(2) %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }} {% endfor %}",
    "{% for k in {'a': 1, 'b': 2} %}{{ k }}{% endfor %}",
    "{% for a, b in [[1, 2], [3, 4]] %}{{ a + b }} {% endfor %}",
    "{% for x in range(9) %}{% if x == 2 %}{% continue %}{% endif %}"
    "{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in range(4) %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in range(5, 0, -2) %}{{ x }}{% endfor %}",
    "{% for m in messages[::-1] %}{{ m.role }}{% endfor %}",
    # Scopes.
    "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set ns = namespace(n=0) %}{% for i in [1, 2] %}"
    "{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
    "{% set a, b = [1, 2] %}{{ a }}{{ b }}",
    "{% set x %}<{{ 1 + 1 }}>{% endset %}{{ x }}",
    "{% set x | upper %}abc{% endset %}{{ x }}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}[{{ a }}]",
    "{% filter upper %}a{{ 'b' }}{% endfilter %}",
    # Macros.
    "{% macro m(a, b='x') %}<{{ a }}{{ b }}>{% endmacro %}"
    "{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}[{{ m() }}]",
    "{% set g = 5 %}{% macro m() %}{{ g }}{% endmacro %}{{ m() }}",
    "{% macro wrap() %}({{ caller() }}){% endmacro %}"
    "{% call wrap() %}in{% endcall %}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}"
    "{% endmacro %}{{ f(3) }}",
    # Tests.
    "{{ x is defined }} {{ 1 is defined }} {{ none is none }} {{ 1 is not none }}",
    "{{ 'a' is string }} {{ 1 is number }} {{ 1 is integer }} {{ 1.5 is float }}",
    "{{ {} is mapping }} {{ [] is sequence }} {{ 'a' is iterable }} {{ 1 is iterable }}",
    "{{ true is boolean }} {{ 1 is boolean }} {{ true is true }} {{ 1 is true }}",
    "{{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }}",
    "{{ 1 is eq 1 }} {{ 1 is gt 0 }} {{ 'a' is in ['a'] }} {{ 'ab' is lower }}",
    "{{ true is number }} {{ true is integer }} {{ none is string }}",
    # Filters.
    "{{ '  a b ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ '\n a\t' | trim }}|",
    "{{ 'aB' | lower }}{{ 'aB' | upper }} {{ 'hello wORLD' | title }}"
    " {{ 'hELLO' | capitalize }}",
    "{{ 'abc' | length }} {{ 'é한' | length }} {{ [1, 2] | count }} {{ {} | length }}",
    "{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ [1, 2] | sort(reverse=true) }}",
    "{{ [1, 2, 3] | first }}{{ [1, 2, 3] | last }} {{ 'abc' | first }}",
    "{{ [1, 2] | join(', ') }} {{ ['a', 1, none] | join }}",
    "{{ messages | map(attribute='role') | list }}",
    "{{ messages | map(attribute='role') | join('-') }}",
    "{{ ['a', 'b'] | map('upper') | list }}",
    "{{ [1, 2, 3, 4] | select('odd') | list }} {{ [0, 1] | select | list }}",
    "{{ [1, 2, 3, 4] | reject('gt', 2) | list }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}",
    "{{ messages | rejectattr('role', 'equalto', 'user') | list }}",
    "{{ missing | default('d') }} {{ '' | default('d') }} {{ '' | default('d', true) }}",
    "{{ none | default('d') }} {{ none | d('d', true) }}",
    "{{ 'a.b.c' | replace('.', '-') }} {{ 'aaa' | replace('a', 'b', 2) }}",
    "{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}",
    "{{ '3' | int + 1 }} {{ 'x' | int }} {{ '3.7' | int }} {{ 3.7 | int }} {{ '2.5' | float }}",
    "{{ -3 | abs }} {{ 3.14159 | round(2) }} {{ 2.5 | round(1) }}",
    "{{ [1, 2, 3] | sum }} {{ [3, 1] | min }} {{ [3, 1] | max }}",
    "{{ [1, 1, 2] | unique | list }} {{ [1, 2] | reverse | list }} {{ 'abc' | reverse }}",
    "{{ {'b': 1, 'a': 2} | dictsort }}",
    "{{ {'b': 1, 'a': 2} | items | list | length }}",
    "{{ 'a<b>&\"' | e }} {{ 'x' | safe }} {{ 5 | string }}",
    "{{ 'a' ~ 'b' | upper }}",
    # JSON.
    "{{ {'a': [1, 2.5, none, true, 'é\"\\n'], 'b': {}} | tojson }}",
    "{{ {'a': [1, 2], 'b': {'c': []}} | tojson(indent=2) }}",
    "{{ messages | tojson }} {{ 'x</y>' | tojson }} {{ [] | tojson(indent=4) }}",
    # Methods.
    "{{ ' a '.strip() }}|{{ 'xax'.lstrip('x') }}|{{ 'xax'.rstrip('x') }}|",
    "{{ 'a,b,c'.split(',') }} {{ 'a b  c '.split() }} {{ 'a,b,c'.split(',', 1) }}",
    "{{ 'a b  c '.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }}",
    "{{ ' a b  c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }}",
    "{{ 'a</think>b'.split('</think>')[-1].lstrip('\n') }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('c') }} {{ 'a'.startswith('b') }}",
    "{{ 'abc'.startswith(('x', 'a')) }}",
    "{{ 'aXb'.upper() }}{{ 'aXb'.lower() }} {{ 'a b'.title() }} {{ 'ab'.capitalize() }}",
    "{{ 'hello'.replace('l', 'L') }} {{ 'hello'.replace('l', 'L', 1) }}",
    "{{ 'hello'.find('l') }} {{ 'hello'.rfind('l') }} {{ 'hello'.find('z') }}"
    " {{ 'hello'.count('l') }} {{ 'hello'.index('o') }}",
    "{{ '-'.join(['a', 'b']) }} {{ 'a\nb\r\nc\n'.splitlines() }}",
    "{{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ ' '.isspace() }} {{ 'Ab'.isupper() }}",
    "{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }}",
    "{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 2) }}",
    "{{ {'a': 1, 'b': 2}.keys() | list }} {{ {'a': 1, 'b': 2}.values() | list }}",
    "{{ [1, 2, 1].count(1) }} {{ [1, 2].index(2) }}",
    "{{ dict(a=1, b='x') }}",
    # As the common families write them.
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.content is string %}{{ message.content }}{% endif %}"
    "{{ '<|im_end|>' + '\n' }}{% endfor %}",
    "{%- if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
    "[{{ system }}]{{ messages | length }}",
    "{%- set ns = namespace(found=false) -%}{%- for m in messages[::-1] -%}"
    "{%- if m.role == 'user' and not ns.found -%}{%- set ns.found = true -%}"
    "{{ loop.index0 }}{%- endif -%}{%- endfor -%}",
    "{% for message in messages %}{% if (message['role'] == 'user') != "
    "(loop.index0 % 2 == 0) %}{{ raise_exception('x') }}{% endif %}ok{% endfor %}",
]

NOW = datetime.datetime(2025, 1, 6, 9, 5, 3)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        x,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )



def product(calls, values):
    return [(value, call) for call in calls for value in values]


TEXTS = ["'  xx ab-cd  '", "'xxabcxx'", "''", "'a\\nb\\n\\nc\\n'", "'Été aAa'"]
WORDS = ["'one two three four five six seven'", "'a_b c-d 1.5 한국어 it\\'s'"]
NUMBERS = ["3", "-7", "2.5", "3.5", "0.125", "2.675", "-2.5", "1234.5678", "true"]
NUMERALS = ["'12'", "' -7 '", "'ff'", "'0x1f'", "'0b101'", "'0o17'", "'1_000'",
            "'010'", "'3.9'", "'1e3'", "'x'", "''", "'inf'", "'nan'", "none", "[]",
            "7.9", "-7.9", "true", "'_1'", "'1__0'"]
LISTS = ["[3, 1, 2]", "['b', 'A', 'a', 'B']", "[]", "[1, 1.0, true, 2]"]
DICTS = ["[{'n': 2, 's': 'b', 'd': {'k': 'y'}}, {'n': 1, 's': 'B', 'd': {'k': 'x'}},"
         " {'n': 2, 's': 'a', 'd': {'k': 'X'}}]"]
PAIRS = ["[[2, 'b'], [1, 'c'], [2, 'a']]"]
MAP = ["{'b': 2, 'A': 3, 'a': 1, 'B': 'x'}", "{'b': 2, 'A': 3, 'a': 1}", "{}"]
JSON = ["{'b': [1, 2.5, none], 'a': {'é': '한\\n\\x7f😀'}}", "[]", "'<é>'", "1e16", "1e-7"]

# Filter, then values and what stands between the brackets. A bracket without
# arguments, an unknown name and one argument too many are added to each.
FILTERS = {
    "default": [(["missing", "''", "0", "none", "'x'"],
                 ["'d'", "'d', true", "'d', false", "default_value='d'",
                  "'d', boolean=true", "boolean=true, default_value=1", "none, true"], 2)],
    "tojson": [(JSON, ["true", "false", "true, 2", "false, 1, [',', ':']", "indent=2",
                       "indent=0", "indent=-1", "indent='--'", "indent=none", "indent=true",
                       "ensure_ascii=true", "ensure_ascii=false", "sort_keys=true",
                       "separators=(',', ':')", "separators=['; ', '=']",
                       "separators=(',', ':'), indent=1", "separators=none",
                       "sort_keys=true, indent=3, ensure_ascii=true",
                       "false, none, none, true", "separators=','"], 4)],
    "trim": [(TEXTS, ["'x'", "' x'", "chars='x '", "none", "chars=none", "''", "5"], 1)],
    "replace": [(["'aXbXcX'", "'a1b1'", "''"],
                 ["'X', '-'", "'X', '-', 1", "'X', '-', 0", "'X', '-', -1", "1, 2",
                  "old='X', new='-'", "'X', new='-', count=2", "'', '.'", "'', '.', 2",
                  "'X'", "'X', '-', none", "'X', '-', '1'"], 3)],
    "indent": [(["'a\\nb\\n\\n  c\\n'", "'\\nx'", "'a\\r\\nb\\x0cc'", "''"],
                ["2", "2, true", "2, true, true", "2, false, true", "'> '", "width='> '",
                 "first=true", "blank=true", "width=1, first=true, blank=true", "true",
                 "-3", "'>', blank=true", "none"], 3)],
    "center": [(["'ab'", "'abc'", "''"], ["7", "8", "width=9", "1", "'7'"], 1)],
    "truncate": [(WORDS + ["'short'"],
                  ["12", "12, true", "12, false, '~'", "12, true, '', 0", "9, leeway=0",
                   "length=10, end='…', leeway=3", "20, killwords=true, leeway=0",
                   "2", "3, leeway=0", "12, leeway=-1", "'12'", "26", "12, end=''"], 4)],
    "wordcount": [(WORDS + TEXTS, [], 0)],
    "title": [(TEXTS + WORDS + ["'(foo) [bar] <baz> a{b'"], [], 0)],
    "capitalize": [(TEXTS, [], 0)],
    "upper": [(TEXTS, [], 0)],
    "lower": [(TEXTS, [], 0)],
    "string": [(["5", "none", "[1]"], [], 0)],
    "e": [(["'<a href=\"x\">&\\'</a>'"], [], 0)],
    "forceescape": [(["'<&>'"], [], 0)],
    "length": [(["'abc'", "[1]"], [], 0)],
    "count": [(["'abc'"], [], 0)],
    "safe": [(["'<'"], [], 0)],
    "list": [(["'abc'", "{'a': 1}"], [], 0)],
    "first": [(["[1, 2]", "'ab'"], [], 0)],
    "last": [(["[1, 2]", "'ab'"], [], 0)],
    "reverse": [(["'ab'"], [], 0)],
    "int": [(NUMERALS, ["5", "-1, 16", "none", "'no'", "base=16", "base=8", "base=2",
                        "base=0", "default=3, base=36", "0, 1", "0, 37", "default=[]"], 2)],
    "float": [(NUMERALS, ["5", "default=none", "'no'"], 1)],
    "abs": [(["3", "-7", "-2.5", "true", "'x'"], [], 0)],
    "round": [(NUMBERS + ["15", "25", "-15", "1e300", "'2.5'", "none"],
               ["1", "2", "-1", "-2", "precision=1", "method='ceil'", "method='floor'",
                "1, 'ceil'", "2, 'floor'", "-1, 'floor'", "-1, 'ceil'", "0, 'common'",
                "0, 'up'", "precision=2, method='floor'", "'1'", "30"], 2)],
    "join": [(["['a', 1, none, 2.5]", "'abc'", "[]"], ["'-'", "1", "d='+'", "none", "''"], 2),
             (DICTS, ["', ', 's'", "',', attribute='n'", "attribute='d.k'",
                      "d='/', attribute='s'", "'-', none"], 2),
             (PAIRS, ["'-', 1", "attribute=0", "'-', '1'"], 2)],
    "sum": [(["[1, 2, 3]", "[]", "[1.5, 2]"], ["none, 10", "start=10", "start=0.5",
                                               "start='x'", "attribute=none"], 2),
            (DICTS, ["'n'", "attribute='n'", "'n', 10", "attribute='n', start=1"], 2),
            (PAIRS, ["0", "attribute='0'"], 2),
            (["[[1], [2, 3]]"], ["start=[]", "start=[0]", "none, []"], 2)],
    "min": [(LISTS, ["true", "case_sensitive=true", "case_sensitive=false"], 2),
            (DICTS, ["attribute='n'", "false, 's'", "true, 's'", "attribute='d.k'",
                     "case_sensitive=true, attribute='d.k'"], 2)],
    "max": [(LISTS, ["true", "case_sensitive=true", "case_sensitive=false"], 2),
            (DICTS, ["attribute='n'", "false, 's'", "true, 's'", "attribute='d.k'",
                     "case_sensitive=true, attribute='d.k'"], 2)],
    "sort": [(LISTS, ["true", "false, true", "true, true", "reverse=true",
                      "case_sensitive=true", "reverse=true, case_sensitive=true"], 3),
             (DICTS, ["attribute='n'", "attribute='s'", "attribute='n,s'",
                      "reverse=true, attribute='n'", "true, true, 's'", "attribute='d.k'",
                      "attribute='n,d.k', case_sensitive=true", "attribute='n, s'"], 3),
             (PAIRS, ["attribute=0", "attribute=1", "attribute='0,1'", "attribute='1'"], 3)],
    "dictsort": [(MAP, ["true", "false, 'value'", "true, 'key', true", "by='value'",
                        "by='key'", "reverse=true", "case_sensitive=true",
                        "case_sensitive=true, by='value', reverse=true", "by='x'"], 3)],
}
# Those that make generators: what a loop over them sees.
LAZY = {
    "items": [(MAP, [], 0)],
    "unique": [(LISTS, ["true", "case_sensitive=true", "false"], 2),
               (DICTS, ["attribute='n'", "false, 's'", "true, 's'",
                        "case_sensitive=true, attribute='d.k'"], 2)],
    "batch": [(["[1, 2, 3, 4, 5]", "'abcd'", "[]"],
               ["2", "3", "2, 'x'", "3, fill_with=0", "linecount=2", "4, none",
                "linecount=3, fill_with='-'", "9, 'z'"], 2)],
    "slice": [(["[1, 2, 3, 4, 5]", "'abcd'", "[]"],
               ["2", "3", "2, 'x'", "3, fill_with=0", "slices=2", "4, none",
                "slices=3, fill_with='-'", "7, 'z'", "0", "'2'"], 2)],
    "select": [(["[0, 1, 2, 3, 4, 5, 6]", "[]"],
                ["'odd'", "'gt', 2", "'divisibleby', 3", "'divisibleby', num=2",
                 "'in', [1, 2]", "'in', seq=[3]", "'eq', 1", "'defined'", "5", "'nonsense'",
                 "'odd', 1", "'gt'", "'gt', 1, 2", "'divisibleby', by=2"], None)],
    "reject": [(["[0, 1, 2, 3, 4, 5, 6]", "[]"],
                ["'odd'", "'gt', 2", "'divisibleby', 3", "'divisibleby', num=2",
                 "'odd', 1", "'gt', 1, 2"], None)],
    "selectattr": [(DICTS, ["'n'", "'n', 'eq', 2", "'n', 'divisibleby', num=2",
                            "'s', 'in', ['a', 'B']", "'d.k', 'equalto', 'x'",
                            "'missing'", "'missing', 'defined'", "'n', 'odd', 1",
                            "'n', 'gt', 1, 2", "'n', 'nonsense'"], None),
                   (PAIRS, ["0, 'eq', 2", "'1', 'eq', 'a'"], None)],
    "rejectattr": [(DICTS, ["'n', 'eq', 2", "'d.k', 'equalto', 'x'", "'missing'",
                            "'missing', 'defined'", "'n', 'odd', 1"], None)],
    "map": [(["['  ab ', 'xcdx']"],
             ["'upper'", "'trim'", "'trim', 'x'", "'trim', chars=' x'",
              "'replace', 'b', 'B'", "'replace', old='d', new='D'", "'center', 8",
              "'truncate', 3, true, '', 0", "'default', 'x', boolean=true",
              "'trim', 'x', 'y'", "'trim', what='x'", "'nonsense'", "5"], None),
            (DICTS, ["attribute='n'", "attribute='d.k'", "attribute='missing', default='-'",
                     "attribute='d.missing', default=0", "attribute='n', default=9",
                     "attribute='missing', default=none", "attribute='n', what=1",
                     "'join', '-'", "'tojson', indent=1"], None),
            (PAIRS, ["attribute=1", "attribute='0'", "'join', '-'", "'sum', start=1",
                     "'first'", "'sort', reverse=true"], None)],
}
# Tests: values, and what stands behind the name.
TESTS = {
    "divisibleby": (["9", "10", "4.0"], ["(3)", "(num=5)", "(2.0)", "", "(3, 4)", "(by=3)", "(0)"]),
    "sameas": (["none", "true", "1", "1.0"],
               ["(none)", "(true)", "(1)", "(other=true)", "", "(x=1)"]),
    "in": (["1", "'a'"], ["([1, 2])", "(seq=['a'])", "('abc')" , "", "([1], [2])", "(x=[1])"]),
    "eq": (["1", "'a'"], ["(1)", "('a')", "", "(1, 2)", "(other=1)"]),
    "ne": (["1"], ["(1)", "(2)", "", "(x=1)"]),
    "lt": (["1", "[1, 2]"], ["(2)", "([1, 3])", "", "(1, 2)"]),
    "ge": (["1", "'b'"], ["(1)", "('a')", ""]),
    "odd": (["3", "4", "-3", "3.0", "true"], ["", "(1)", "(x=1)"]),
    "even": (["3", "4", "-4", "'x'"], ["", "(1)"]),
    "defined": (["missing", "1"], ["", "(1)"]),
    "undefined": (["missing", "1"], ["", "(x=1)"]),
    "none": (["none", "1"], ["", "(1)"]),
    "string": (["'a'", "1"], ["", "('a')"]),
    "lower": (["'ab1'", "'aB'", "''", "5"], ["", "(1)"]),
    "upper": (["'AB1'", "'aB'", "''"], ["", "(1)"]),
    "sequence": (["missing", "'a'", "[]", "1"], ["", "(1)"]),
    "iterable": (["missing", "{}", "1"], [""]),
    "escaped": (["'a'"], [""]),
    "nonsense": (["1"], ["", "(1)"]),
}
# Methods: values, and what stands between the brackets.
PLACES = ["", "1", "'l'", "'l', 3", "'l', 3, 4", "'l', -2", "'l', none, 3", "'l', 0, -1",
          "'l', 99", "'l', 3, 2", "''", "'', 2", "'', 9", "sub='l'", "'l', '1'", "'lo'",
          "'l', 1, 2, 3"]
ENDS = ["", "'he'", "'lo'", "'l', 2", "'l', 2, 3", "'l', -3, -2", "('x', 'he')", "('x', 'lo'), 1",
        "''", "'', 5", "'', 6", "1", "('he', 1)", "(1, 'he')", "prefix='he'", "'he', none, 2",
        "'he', 0, 1", "'l', 0, 9, 9", "'l', '0'", "none"]
METHODS = {
    "strip": (TEXTS, ["", "'x'", "' x'", "none", "''", "chars='x'", "1", "'x', 'y'"]),
    "lstrip": (TEXTS, ["", "'x'", "none", "chars='x'", "'x', 1"]),
    "rstrip": (TEXTS, ["", "'x'", "none", "chars='x'", "'x', 1"]),
    "split": (["'a,b,,c'", "' a  b c '", "''"],
              ["", "','", "',', 1", "',', maxsplit=2", "sep=','", "sep=',', maxsplit=1",
               "none", "none, 1", "maxsplit=1", "sep=none, maxsplit=0", "',', 0", "',', -1",
               "''", "1", "',', '1'", "',', none", "',', 1, 2", "what=1", "',', sep=','"]),
    "rsplit": (["'a,b,,c'", "' a  b c '", "''"],
               ["", "','", "',', 1", "maxsplit=1", "sep=',', maxsplit=1", "none, 2", "''",
                "',', 0", "what=1"]),
    "partition": (["'a=b=c'", "'abc'"], ["'='", "", "''", "1", "sep='='", "'=', 1"]),
    "rpartition": (["'a=b=c'", "'abc'"], ["'='", "", "''", "1", "sep='='"]),
    "splitlines": (["'a\\nb\\r\\nc\\n'", "'a\\x0bb\\u2028c\\x1dd\\x85'", "''", "'\\n'"],
                   ["", "true", "false", "keepends=true", "1", "true, 1", "what=1"]),
    "startswith": (["'hello'", "''", "'hélló'"], ENDS),
    "endswith": (["'hello'", "''"], ENDS),
    "find": (["'hello'", "'héllo'", "''"], PLACES),
    "rfind": (["'hello'", "'héllo'"], PLACES),
    "index": (["'hello'"], PLACES),
    "rindex": (["'hello'"], PLACES),
    "count": (["'hello'", "''"], PLACES),
    "replace": (["'hello'"], ["'l', 'L'", "'l', 'L', 1", "'l', 'L', 0", "'l', 'L', -1",
                              "'', '-'", "'', '-', 3", "'l'", "", "1, 2", "'l', none",
                              "'l', 'L', '1'", "'l', 'L', none", "'l', 'L', 1, 2", "'l', 'L', what=1"]),
    "removeprefix": (["'hello'"], ["'he'", "'x'", "''", "", "1", "('he',)", "'h', 'e'"]),
    "removesuffix": (["'hello'"], ["'lo'", "'x'", "''", "", "1", "'l', 'o'"]),
    "join": (["'-'"], ["['a', 'b']", "'abc'", "{'a': 1}", "[]", "['a', 1]", "", "['a'], ['b']",
                       "1", "iterable=['a']"]),
    "center": (["'ab'", "'abc'"], ["7", "8", "7, '*'", "8, '*'", "1", "", "'7'", "7, '**'",
                                   "width=7", "7, 1"]),
    "ljust": (["'ab'"], ["5", "5, '.'", "", "1", "5, ''"]),
    "rjust": (["'ab'"], ["5", "5, '.'", "", "1", "5, ''"]),
    "zfill": (["'12'", "'-12'", "'+a'", "''"], ["5", "1", "", "'5'", "5, 6"]),
    "upper": (["'aß'"], ["", "1", "x=1"]),
    "lower": (["'AÉ'"], ["", "1", "x=1"]),
    "title": (["'it\\'s a-b'"], ["", "1"]),
    "capitalize": (["'aBC'"], ["", "1"]),
    "isdigit": (["'12'"], ["", "1"]),
    "isalpha": (["'ab'"], ["", "1"]),
    "get": (["{'a': 1, 'b': none}"], ["'a'", "'x'", "'x', 2", "'b', 2", "", "'a', default=1",
                                      "key='a'", "'a', 1, 2"]),
    "keys": (["{'a': 1}"], ["1", "x=1"]),
    "values": (["{'a': 1}"], ["1", "x=1"]),
    "items": (["{'a': 1}"], ["1", "x=1"]),
}
OF_LISTS = {
    "index": ["1", "2", "1, 1", "1, 1, 3", "1, -1", "1, 2, 3", "9", "", "1, '1'", "value=1",
              "1, 0, -1", "1, 0, 9, 9"],
    "count": ["1", "9", "", "1, 2", "value=1"],
}
WHOLE = [
    # Functions.
    *("{{ range(%s) | list }}" % given
      for given in ["3", "1, 4", "5, 0, -2", "0, 3, 1", "", "1, 2, 0", "'3'", "1.5",
                    "stop=3", "1, 2, 3, 4", "3, none"]),
    *("{{ dict(%s) }}" % given
      for given in ["", "a=1", "{'a': 1}", "{'a': 1}, b=2", "{'a': 1}, a=2",
                    "{'a': 1}, {'b': 2}", "1"]),
    *("{%% set n = namespace(%s) %%}{{ n.a }}{{ n.b }}" % given
      for given in ["", "a=1", "{'a': 1}", "{'a': 1}, b=2", "{'a': 1}, {'b': 2}", "1"]),
    *("{{ strftime_now(%s) }}" % given
      for given in ["'%Y'", "", "1", "none", "'%Y', '%m'", "format='%Y'"][:-1]),
    # Macros.
    *("{%% macro m(a, b=2) %%}[{{ a }}{{ b }}]{%% endmacro %%}{{ m(%s) }}" % given
      for given in ["", "1", "1, 3", "1, b=3", "b=3", "a=1, b=4", "1, 2, 3", "1, a=2",
                    "c=1", "1, caller=2", "*[1, 2]", "*[1, 2, 3]"]),
    "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}{{ m() }}{{ m(1) }}",
    "{% macro m(a) %}{{ a }}{{ kwargs }}{% endmacro %}{{ m(1, b=2, c=3) }}{{ m(1) }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, b=2) }}",
    "{% macro m(a) %}{{ a }}{{ kwargs }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro n(a) %}{{ varargs }}{% endmacro %}{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a + b }}{% endcall %}",
    "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a) m() %}{{ a }}{% endcall %}",
    "{% macro m() %}{{ caller(x=1) }}{% endmacro %}{% call m() %}a{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}a{% endcall %}",
    # Loops.
    "{% for x in 'abcd' %}{{ loop.cycle('a', 'b', 'c') }}{% endfor %}",
    "{% for x in 'ab' %}{{ loop.cycle() }}{% endfor %}",
    "{% for x in 'ab' %}{{ loop.cycle('a', what='b') }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x, loop.index) }} {% endfor %}",
    "{% for x in [1, 1] %}{{ loop.changed() }} {% endfor %}",
    "{% for x in [1, 2] %}{% for y in [1, 1] %}{{ loop.changed(y) }} {% endfor %}{% endfor %}",
    "{% for x in 'ab' %}{{ loop.depth }}{{ loop.depth0 }}{% for y in 'c' %}"
    "{{ loop.depth }}{% endfor %}{% endfor %}",
    "{% for x in 'abc' if x != 'b' %}{{ loop.index }}{{ loop.revindex }}{{ loop.length }}"
    "{{ loop.first }}{{ loop.last }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
    # Blocks.
    "{% autoescape false %}{{ '<' }}{% endautoescape %}",
    "{% filter indent(2, true) %}a\nb{% endfilter %}",
    "{% filter replace('a', 'b', count=1) %}aaa{% endfilter %}",
    "{% filter replace('a') %}aaa{% endfilter %}",
    "{% set x | trim('-') %}--a--{% endset %}{{ x }}",
    "{% set x | trim('-', '+') %}--a--{% endset %}{{ x }}",
    # None through filters that ask `if value`.
    *("{{ none | %s | list }}" % given
      for given in ["select", "reject('odd')", "map('upper')", "map(attribute='x')",
                    "selectattr('x')", "rejectattr('x', 'eq', 1)"]),
    # Floats.
    "{{ [1e16, 1e15, 1e-4, 1e-5, 1.5e-7, 1e22, 123456789.125, 0.1 + 0.2, 1e300 * 10] }}",
]


def arguments_table():
    sources = list(WHOLE)
    for table, form in [(FILTERS, "{{ %s | %s%s }}"), (LAZY, "{{ %s | %s%s | list }}")]:
        for name, cases in table.items():
            for values, calls, most in cases:
                calls = ["", *("(%s)" % call for call in calls), "(nonsense=1)"]
                if most is not None:
                    calls.append("(%s)" % ", ".join(["1"] * (most + 1)))
                for value, call in product(calls, values):
                    sources.append(form % ("(%s)" % value, name, call))
    for name, (values, calls) in TESTS.items():
        for value, call in product(calls, values):
            sources.append("{{ (%s) is %s%s }}" % (value, name, call))
    for name, (values, calls) in METHODS.items():
        for value, call in product(calls, values):
            sources.append("{{ (%s).%s(%s) }}" % (value, name, call))
    for name, calls in OF_LISTS.items():
        sources += ["{{ [0, 1, 2, 1].%s(%s) }}" % (name, call) for call in calls]
    # What Jinja itself passes over there, t2 refuses.
    passed_over = {"select(nonsense=1)", "reject(nonsense=1)"}
    return [
        source
        for source in dict.fromkeys(sources)
        if not any(one in source for one in passed_over)
    ]


def environment():
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return made


def render(source):
    return environment().from_string(source).render(
        messages=[{"role": "user", "content": "hi"}],
        tools=None,
        documents=None,
        add_generation_prompt=True,
        bos_token="<s>",
        eos_token="</s>",
    )


def render_or_refuse(source):
    try:
        return render(source)
    except Exception:
        return None


def main():
    here = pathlib.Path(__file__).parent
    samples = [{"source": source, "text": render(source)} for source in SOURCES]
    (here / "jinja_samples.json").write_text(
        json.dumps(samples, ensure_ascii=False, indent=1) + "\n"
    )
    table = [[source, render_or_refuse(source)] for source in arguments_table()]
    lines = ",\n".join(json.dumps(pair) for pair in table)
    (here / "jinja_arguments.json").write_text("[\n" + lines + "\n]\n")


main()
