"""Renders templates with Jinja2, set up as transformers sets it up, and writes
jinja_samples.json: what text/chat_template.hpp has to agree with.

    python tests/text/make_jinja_samples.py     (needs jinja2, nothing else)
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


def main():
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["strftime_now"] = NOW.strftime
    samples = []
    for source in SOURCES:
        text = environment.from_string(source).render(
            messages=[{"role": "user", "content": "hi"}],
            tools=None,
            documents=None,
            add_generation_prompt=True,
            bos_token="<s>",
            eos_token="</s>",
        )
        samples.append({"source": source, "text": text})
    out = pathlib.Path(__file__).with_name("jinja_samples.json")
    out.write_text(json.dumps(samples, ensure_ascii=False, indent=1) + "\n")


main()
