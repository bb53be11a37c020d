"""The dashboard in Chromium, on a real t2d with the demo model.

    dashboard_test.py T2D T2 SOURCES

Needs Debian's chromium and chromium-driver, and selenium (tools/setup.sh
--clients).
"""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

T2D, T2, SOURCES = (os.path.abspath(path) for path in sys.argv[1:4])
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
QUESTION = "Max finds 47 shells and then 19 more. How many shells does Max find?"
EXAMPLES = [
    {"messages": [{"role": "user", "content": question}], "answer": answer}
    for question, answer in [
        ("Tom has 11 cards. He gets 22 more. How many cards does he have now?",
         "1+2=3 1+2=3 #### 33"),
        ("Tim has 15 cups. He gets 21 more. How many cups does he have now?",
         "5+1=6 1+2=3 #### 36")]]


ADMINISTER, USE = "administer-0123456789", "use-0123456789abcdef"


class Dashboard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        here = pathlib.Path(folder.name)
        (here / "t2.toml").write_text(
            f'[model]\npath = "{SOURCES}/assets/t2-mini"\ndtype = "float32"\n'
            f'svd_cache = "{here}/svd"\n[engine]\nthreads = 1\n'
            f'[store]\npath = "{here}/store.db"\n'
            f'[server]\nsocket = "{here}/t2.sock"\n'
            f'listen = "127.0.0.1:0"\nkeys = "{here}/keys"\n')
        keys = here / "keys"
        keys.touch(mode=0o600)
        keys.write_text(f"boss administer {ADMINISTER}\nguest use {USE}\n")
        cls.environment = {"HOME": str(here), "T2_CONFIG": f"{here}/t2.toml"}
        cls.daemon = subprocess.Popen(
            [T2D], env=cls.environment, stderr=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop_daemon)
        for line in cls.daemon.stderr:
            if found := re.search(r"listening on (?:http://)?127.0.0.1:(\d+)", line):
                cls.port = int(found[1])
            if " ready: " in line:
                break
        threading.Thread(target=cls.daemon.stderr.read, daemon=True).start()
        for name in ("math", "code"):
            cls.t2("expert", "import", name,
                   f"{SOURCES}/assets/experts/{name}.safetensors")
        for name, description in (("hostile", HOSTILE), ("sums", "sums of two")):
            status, body = cls.request("POST", "/v1/tasks", {
                "name": name, "description": description, "reward": "numeric",
                "examples": EXAMPLES})
            assert status == 201, body
        cls.t2("adapt", "sums", "--search-population", "4",
               "--search-iterations", "2", "--search-survivors", "1")

        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in ("--headless=new", "--no-sandbox", "--window-size=1280,1600",
                     f"--user-data-dir={here}/chromium"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(
            options=options, service=Service("/usr/bin/chromedriver"))
        cls.addClassCleanup(cls.browser.quit)

    @classmethod
    def stop_daemon(cls):
        cls.daemon.send_signal(signal.SIGTERM)
        assert cls.daemon.wait(60) == 0

    @classmethod
    def t2(cls, *arguments):
        subprocess.run([T2, *arguments], env=cls.environment, check=True,
                       stdout=subprocess.DEVNULL)

    @classmethod
    def request(cls, method, path, body=None):
        to = http.client.HTTPConnection("127.0.0.1", cls.port)
        to.request(method, path, body and json.dumps(body),
                   {"Authorization": f"Bearer {ADMINISTER}"})
        reply = to.getresponse()
        answer = reply.status, reply.read().decode()
        to.close()
        return answer

    def setUp(self):
        # Before the page's own script, so that it has a key from the start.
        self.key_script = self.browser.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument",
            {"source": f"sessionStorage.setItem('t2-key', '{ADMINISTER}')"})
        self.browser.get(f"http://127.0.0.1:{self.port}/")
        self.missing = [path for path in (
            "/v1/jobs", "/v1/experts/math%401/heatmap")
            if self.request("GET", path)[0] == 404]

    def take_key_away(self):
        if self.key_script:
            self.browser.execute_cdp_cmd(
                "Page.removeScriptToEvaluateOnNewDocument", self.key_script)
        self.key_script = None

    def tearDown(self):
        """Chromium itself notes what a server lacks; nothing else is wrong."""
        self.take_key_away()
        wrong = [entry for entry in self.browser.get_log("browser")
                 if entry["level"] in ("SEVERE", "WARNING")
                 and not (entry["source"] == "network" and "404" in entry["message"]
                          and self.missing)]
        self.assertEqual(wrong, [])

    def find(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def wait_for(self, condition, what):
        WebDriverWait(self.browser, 60, poll_frequency=0.1).until(
            lambda _: condition(), f"waited for {what}")

    def text(self, selector):
        return self.find(selector)[0].text

    def test_says_what_is_served(self):
        self.wait_for(lambda: self.text("#state") == "ready", "the state")
        self.assertIn("t2-mini", self.text("#model"))
        self.assertIn("0 running", self.text("#counts"))

    def test_shows_what_others_have_written_as_text(self):
        self.wait_for(lambda: len(self.find("#tasks article")) == 2, "the tasks")
        titles = [node.text for node in self.find("#tasks h3")]
        self.assertEqual(sorted(titles), ["hostile", "sums"])
        hostile = self.find("#tasks article")[titles.index("hostile")]
        self.assertEqual(hostile.find_element(By.TAG_NAME, "p").text, HOSTILE)
        self.assertEqual(self.find("img"), [])
        self.assertEqual(self.browser.title, "t2")
        sums = self.find("#tasks article")[titles.index("sums")]
        self.assertRegex(sums.text, "adapted|stays on the base")
        self.assertIn("held out: gain", sums.text)

    def test_keeps_other_scripts_out(self):
        self.browser.execute_script(
            "const node = document.createElement('script');"
            "node.textContent = \"document.title = 'owned'\";"
            "document.body.append(node);")
        self.assertEqual(self.browser.title, "t2")
        refused = [entry for entry in self.browser.get_log("browser")
                   if "Content Security Policy" in entry["message"]]
        self.assertEqual(len(refused), 1)

    def test_asks_base_task_and_auto_side_by_side(self):
        self.wait_for(lambda: self.find("#task option"), "the tasks")
        Select(self.find("#task")[0]).select_by_visible_text("sums")
        self.find("#prompt")[0].send_keys(QUESTION, Keys.TAB, Keys.TAB, Keys.TAB,
                                          Keys.TAB, Keys.ENTER)
        columns = lambda: self.find("#answers article")
        self.wait_for(lambda: len(columns()) == 3 and all(
            "stop, " in column.text for column in columns()), "three answers")
        told = {c.find_element(By.TAG_NAME, "h3").text: c for c in columns()}
        self.assertEqual(list(told), ["base", "sums", "auto"])
        self.assertIn("66", told["auto"].find_element(By.TAG_NAME, "pre").text)
        self.assertIn("math", told["auto"].text)  # and why
        self.assertTrue(told["auto"].find_elements(By.CSS_SELECTOR, ".bar rect"))
        self.assertIn("base", told["base"].text)
        self.assertFalse(self.find("#stop")[0].is_displayed())

    def test_draws_the_experts(self):
        self.wait_for(lambda: len(self.find("#experts article")) == 2,
                      "the experts")
        self.assertIn("version 1", self.text("#experts"))
        if "/v1/experts/math%401/heatmap" in self.missing:
            self.wait_for(lambda: "is not there" in self.text("#experts-note"),
                          "the note")
            return
        config = json.load(open(f"{SOURCES}/assets/t2-mini/config.json"))
        for expert in self.find("#experts article"):
            cells = expert.find_elements(By.CSS_SELECTOR, ".heat rect")
            layers = config["num_hidden_layers"]
            self.assertTrue(cells)
            self.assertEqual(len(cells) % layers, 0)
            self.assertIn("mean", cells[0].find_element(
                By.TAG_NAME, "title").get_attribute("textContent"))

    def test_draws_what_is_measured(self):
        tokens = lambda: self.find("#charts polyline")[0].get_attribute("points")
        self.wait_for(lambda: len(tokens().split()) > 1, "two rates")
        self.wait_for(lambda: "Written: 0 tokens/s" ==
                      self.text("#charts figcaption"), "no tokens")
        self.request("POST", "/v1/completions", {
            "model": "base", "prompt": "A", "max_tokens": 64,
            "ignore_eos": True, "stream": True})
        self.wait_for(lambda: re.search(r"Written: [1-9]",
                                        self.text("#charts figcaption")),
                      "tokens")
        self.assertEqual(self.text("#metrics-note"), "")

    def test_shows_searches_and_trainings(self):
        if "/v1/jobs" in self.missing:
            self.wait_for(lambda: self.text("#jobs-note") ==
                          "/v1/jobs is not there.", "the note")
            return
        self.wait_for(lambda: self.find("#jobs article") or
                      self.text("#jobs-note") == "Nothing is under way.",
                      "the jobs")

    def test_says_that_it_needs_a_key_and_takes_one(self):
        self.take_key_away()
        self.browser.execute_script("sessionStorage.clear()")
        self.browser.refresh()
        self.wait_for(lambda: self.text("#tasks-note") ==
                      "/v1/tasks needs an API key.", "the refusal")
        self.wait_for(lambda: self.text("#state") == "ready", "the state")
        self.assertNotIn("undefined", self.text("body"))
        self.find("#prompt")[0].send_keys("A")
        self.find("#ask")[0].click()
        self.wait_for(lambda: "key" in self.text("#answers article"),
                      "the refusal")
        refused = self.browser.get_log("browser")
        self.assertTrue(refused)
        for entry in refused:
            self.assertRegex(entry["message"], "40[14]")
        self.find("#key")[0].send_keys(USE, Keys.ENTER)
        self.wait_for(lambda: len(self.find("#tasks article")) == 2, "the tasks")
        self.assertEqual(self.text("#tasks-note"), "")
        self.assertEqual(self.browser.execute_script(
            "return sessionStorage.getItem('t2-key')"), USE)
        # What is for administrators says so.
        self.missing += [None]
        for entry in self.browser.get_log("browser"):
            self.assertRegex(entry["message"], "40[34]")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], warnings="ignore")
