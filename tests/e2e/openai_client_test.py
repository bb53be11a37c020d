#!/usr/bin/env python3
"""OpenAI's own Python client against a daemon that serves the demo model.

    openai_client_test.py T2D SOURCE_DIR
"""
import itertools
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import openai

try:
    import httpx2 as httpx  # what openai is built on since 3.0
except ImportError:
    import httpx

T2D, SOURCE = sys.argv[1], Path(sys.argv[2])
MODEL = SOURCE / "assets" / "t2-mini"
SUM = [{"role": "user", "content": "Max finds 47 shells and then 19 more. "
        "How many shells does Max find?"}]


class Daemon:
    def __init__(self, folder):
        self.socket = folder / "t2.sock"
        config = folder / "t2.toml"
        config.write_text(
            f'[model]\npath = "{MODEL}"\ndtype = "float32"\n'
            f'svd_cache = "{folder / "svd"}"\n'
            '[engine]\nthreads = 1\nkv_bytes = "64MiB"\nmax_context = 512\n'
            f'[store]\npath = "{folder / "store.db"}"\n'
            f'[server]\nsocket = "{self.socket}"\n')
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith("T2_")}
        self.process = subprocess.Popen(
            [T2D], env=environment | {"HOME": str(folder),
                                      "T2_CONFIG": str(config)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if " ready: " in line:
                return
        raise RuntimeError("the daemon ended before it was ready")

    def http(self):
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.socket)))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)


class OpenAIClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.daemon = Daemon(Path(cls.folder.name))
        cls.http = cls.daemon.http()
        cls.client = openai.OpenAI(api_key="none", base_url="http://t2/v1",
                                   http_client=cls.http, max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.http.close()
        cls.daemon.stop()
        cls.folder.cleanup()

    def chat(self, **more):
        return self.client.chat.completions.create(
            **{"model": "base", "messages": SUM, "max_tokens": 40, **more})

    def complete(self, **more):
        return self.client.completions.create(
            **{"model": "base", "prompt": "Question: 1 + 2?\nAnswer:",
               "max_tokens": 24, **more})

    def test_chat(self):
        answer = self.chat()
        self.assertTrue(answer.id.startswith("chatcmpl-"))
        self.assertEqual(answer.object, "chat.completion")
        self.assertLess(abs(answer.created - time.time()), 60)
        self.assertTrue(answer.system_fingerprint.startswith("fp_"))
        [choice] = answer.choices
        self.assertEqual(choice.message.role, "assistant")
        self.assertGreater(len(choice.message.content), 0)
        self.assertIsNone(choice.logprobs)
        self.assertIn(choice.finish_reason, ("stop", "length"))
        self.assertEqual(
            answer.usage.total_tokens,
            answer.usage.prompt_tokens + answer.usage.completion_tokens)
        cut = self.chat(max_completion_tokens=2, max_tokens=None)
        self.assertEqual(cut.usage.completion_tokens, 2)
        self.assertEqual(cut.choices[0].finish_reason, "length")
        # The answer can be sent back, and a developer speaks as the system.
        again = self.chat(messages=[
            {"role": "developer", "content": "Be brief."}, *SUM,
            choice.message.model_dump(),
            {"role": "user", "content": [{"type": "text", "text": "Why?"}]}])
        self.assertGreater(again.usage.prompt_tokens,
                           answer.usage.prompt_tokens)

    def test_stream_says_what_the_whole_answer_says(self):
        options = dict(logprobs=True, top_logprobs=3, n=2, temperature=1,
                       seed=11)
        whole = self.chat(**options)
        text, tokens, reasons, usage = ["", ""], [[], []], {}, None
        ids = set()
        for chunk in self.chat(stream=True,
                               stream_options={"include_usage": True},
                               **options):
            ids.add((chunk.id, chunk.object, chunk.system_fingerprint))
            self.assertIsNone(usage, "a chunk after the usage")
            usage = chunk.usage
            for choice in chunk.choices:
                text[choice.index] += choice.delta.content or ""
                if choice.logprobs:
                    tokens[choice.index] += choice.logprobs.content
                if choice.finish_reason:
                    reasons[choice.index] = choice.finish_reason
        self.assertEqual(len(ids), 1)
        self.assertEqual(usage, whole.usage)
        for choice in whole.choices:
            self.assertEqual(text[choice.index], choice.message.content)
            self.assertEqual(reasons[choice.index], choice.finish_reason)
            self.assert_same_tokens(tokens[choice.index],
                                    choice.logprobs.content)

    def assert_same_tokens(self, some, others):
        """Likelihoods up to rounding, which the rows beside them decide."""
        self.assertEqual([one.token for one in some],
                         [one.token for one in others])
        for one, other in zip(some, others):
            self.assertAlmostEqual(one.logprob, other.logprob, 4)
            self.assertEqual({top.token for top in one.top_logprobs},
                             {top.token for top in other.top_logprobs})

    def test_n(self):
        drawn = self.chat(n=4, temperature=1.5, seed=3, max_tokens=24)
        self.assertEqual([c.index for c in drawn.choices], [0, 1, 2, 3])
        self.assertGreater(len({c.message.content for c in drawn.choices}), 1)
        greedy = self.chat(n=3)
        self.assertEqual(len({c.message.content for c in greedy.choices}), 1)
        one = self.chat()
        self.assertEqual(greedy.usage.prompt_tokens, one.usage.prompt_tokens)
        self.assertEqual(greedy.usage.completion_tokens,
                         3 * one.usage.completion_tokens)

    def test_logprobs(self):
        answer = self.chat(logprobs=True, top_logprobs=5, temperature=1,
                           seed=5)
        content = answer.choices[0].logprobs.content
        self.assertGreater(len(content), 0)
        joined = b"".join(bytes(t.bytes) for t in content).decode()
        self.assertEqual(joined.strip(),
                         answer.choices[0].message.content.strip())
        for token in content:
            top = [t.logprob for t in token.top_logprobs]
            self.assertEqual(len(top), 5)
            self.assertEqual(top, sorted(top, reverse=True))
            self.assertLessEqual(token.logprob, top[0] + 1e-6)
            self.assertLessEqual(sum(map(math.exp, top)), 1 + 1e-5)
        greedy = self.chat(logprobs=True, top_logprobs=1)
        for token in greedy.choices[0].logprobs.content:
            self.assertEqual(token.token, token.top_logprobs[0].token)
            self.assertEqual(token.logprob, token.top_logprobs[0].logprob)

    def test_logprobs_of_completions(self):
        answer = self.complete(logprobs=2)
        logprobs = answer.choices[0].logprobs
        self.assertEqual("".join(logprobs.tokens), answer.choices[0].text)
        self.assertEqual(
            logprobs.text_offset,
            [0, *itertools.accumulate(map(len, logprobs.tokens))][:-1])
        for token, logprob, top in zip(logprobs.tokens,
                                       logprobs.token_logprobs,
                                       logprobs.top_logprobs, strict=True):
            self.assertEqual(top[token], logprob)
            self.assertEqual(max(top.values()), logprob)  # greedy
            self.assertEqual(len(top), 2)

    def test_stop(self):
        whole = self.chat(logprobs=True).choices[0].message.content
        middle = whole[len(whole) // 2:][:2]
        cut = self.chat(stop=[middle, "never said"], logprobs=True).choices[0]
        self.assertEqual(cut.message.content, whole[:whole.index(middle)])
        self.assertEqual(cut.finish_reason, "stop")
        told = b"".join(bytes(t.bytes) for t in cut.logprobs.content).decode()
        self.assertTrue(told.startswith(cut.message.content), told)
        # At most the token that the text was cut in reaches behind it.
        if cut.logprobs.content:
            last = len(bytes(cut.logprobs.content[-1].bytes))
            self.assertLess(len(told) - last, len(cut.message.content))

    def test_seed(self):
        draw = lambda **more: self.chat(
            temperature=3, max_tokens=24, **more).choices[0].message.content
        self.assertEqual(draw(seed=7), draw(seed=7))
        self.assertNotEqual(draw(seed=7), draw(seed=8))
        self.assertGreater(len({draw() for _ in range(4)}), 1)

    def test_bias_and_penalties(self):
        plain = self.complete(max_tokens=1, logprobs=5).choices[0]
        again = self.complete(max_tokens=40, frequency_penalty=2,
                              presence_penalty=2, logprobs=0).choices[0]
        free = self.complete(max_tokens=40, logprobs=0).choices[0]
        repeated = lambda choice: (len(choice.logprobs.tokens)
                                   - len(set(choice.logprobs.tokens)))
        self.assertLessEqual(repeated(again), repeated(free))
        # Every id forbidden but one leaves only that one.
        forced = self.complete(max_tokens=3, logit_bias={"70": 100})
        twice = self.complete(prompt=[[70], [70, 70]], echo=True, max_tokens=1,
                              logit_bias={"70": 100})
        letter = twice.choices[0].text[:len(twice.choices[0].text) // 2]
        self.assertEqual(twice.choices[1].text, letter * 3)
        self.assertEqual(forced.choices[0].text, letter * 3)
        self.assertNotEqual(plain.text, letter)

    def test_completions_of_many_prompts(self):
        answer = self.complete(prompt=["Question: 1 + 2?", "Hello"], n=2,
                               echo=True, max_tokens=4)
        self.assertEqual(answer.object, "text_completion")
        self.assertTrue(answer.id.startswith("cmpl-"))
        self.assertEqual([c.index for c in answer.choices], [0, 1, 2, 3])
        for choice, prompt in zip(answer.choices,
                                  ["Question: 1 + 2?"] * 2 + ["Hello"] * 2):
            self.assertTrue(choice.text.startswith(prompt), choice.text)
        alone = [self.complete(prompt=p, max_tokens=4).usage
                 for p in ("Question: 1 + 2?", "Hello")]
        self.assertEqual(answer.usage.prompt_tokens,
                         sum(u.prompt_tokens for u in alone))
        streamed = ["", "", "", ""]
        for chunk in self.complete(prompt=["Question: 1 + 2?", "Hello"], n=2,
                                   echo=True, max_tokens=4, stream=True):
            for choice in chunk.choices:
                streamed[choice.index] += choice.text
        self.assertEqual(streamed, [c.text for c in answer.choices])

    def test_models(self):
        models = {model.id: model for model in self.client.models.list()}
        self.assertLessEqual({"auto", "base"}, models.keys())
        base = self.client.models.retrieve("base")
        self.assertEqual(base, models["base"])
        self.assertEqual((base.object, base.owned_by), ("model", "t2"))
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("nothing")

    def test_errors(self):
        with self.assertRaises(openai.NotFoundError) as missing:
            self.chat(model="nothing")
        self.assertEqual(missing.exception.code, "model_not_found")
        self.assertEqual(missing.exception.param, "model")
        self.assertEqual(missing.exception.type, "invalid_request_error")
        for bad in ({"temperature": -1}, {"n": 0}, {"n": 17}, {"top_p": 2},
                    {"logit_bias": {"999999": 1}}, {"presence_penalty": 3},
                    {"response_format": {"type": "json_object"}},
                    {"tools": [{"type": "function",
                                "function": {"name": "f"}}]},
                    {"messages": []}, {"extra_body": {"temprature": 1}}):
            with self.subTest(bad), self.assertRaises(openai.BadRequestError):
                self.chat(**bad)
        with self.assertRaises(openai.BadRequestError):
            self.complete(suffix="x")
        # What clients send by default changes nothing.
        self.assertEqual(
            self.chat(store=True, metadata={"a": "b"}, user="u",
                      service_tier="auto", safety_identifier="s",
                      parallel_tool_calls=False).choices[0].message.content,
            self.chat().choices[0].message.content)

    def test_a_stream_that_is_closed_ends_its_work(self):
        stream = self.complete(max_tokens=480, n=4, stream=True,
                               extra_body={"ignore_eos": True})
        next(iter(stream))
        stream.close()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.http.get("http://t2/health").json()["running"] == 0:
                return
        self.fail("the queries of a stream that was closed go on")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
