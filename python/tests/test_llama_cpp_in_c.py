# SPDX-License-Identifier: Apache-2.0
"""The C of docs/engines/llama-cpp.md in a program that links the real libllama and libcountermark.

COUNTERMARK_LIBRARY names libcountermark.so.1. llama-cpp-python brings libllama without its header,
so what the program calls is declared here by its public signatures; structs that it passes on
unread are as large as llama-cpp-python says.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

from support import PROFILE, ROOT, blocks, call
from test_llama_cpp import Embedded, libllama

LIBRARY = os.environ.get("COUNTERMARK_LIBRARY", "")

HEADER = """
#include <stdbool.h>
#include <stdint.h>
typedef int32_t llama_token;
typedef struct llama_logit_bias { llama_token token; float bias; } llama_logit_bias;
struct llama_model;
struct llama_context;
struct llama_vocab;
struct llama_sampler;
struct llama_sampler_i;
struct llama_sampler_chain_params { bool no_perf; };
struct llama_batch { void* unread[%(batch)d]; };
struct llama_model_params { void* unread[%(model)d]; };
struct llama_context_params { void* unread[%(context)d]; };
void llama_backend_init(void);
struct llama_model_params llama_model_default_params(void);
struct llama_context_params llama_context_default_params(void);
struct llama_sampler_chain_params llama_sampler_chain_default_params(void);
struct llama_model* llama_model_load_from_file(const char*, struct llama_model_params);
struct llama_context* llama_init_from_model(struct llama_model*, struct llama_context_params);
const struct llama_vocab* llama_model_get_vocab(const struct llama_model*);
uint32_t llama_n_ctx(const struct llama_context*);
int32_t llama_vocab_n_tokens(const struct llama_vocab*);
llama_token llama_vocab_eos(const struct llama_vocab*);
int32_t llama_tokenize(const struct llama_vocab*, const char*, int32_t, llama_token*, int32_t, bool, bool);
int32_t llama_token_to_piece(const struct llama_vocab*, llama_token, char*, int32_t, int32_t, bool);
struct llama_batch llama_batch_get_one(llama_token*, int32_t);
int32_t llama_decode(struct llama_context*, struct llama_batch);
struct llama_sampler* llama_sampler_init(struct llama_sampler_i*, void*);
struct llama_sampler* llama_sampler_chain_init(struct llama_sampler_chain_params);
void llama_sampler_chain_add(struct llama_sampler*, struct llama_sampler*);
struct llama_sampler* llama_sampler_init_logit_bias(int32_t, int32_t, const llama_logit_bias*);
struct llama_sampler* llama_sampler_init_top_p(float, size_t);
struct llama_sampler* llama_sampler_init_temp(float);
llama_token llama_sampler_sample(struct llama_sampler*, struct llama_context*, int32_t);
void llama_sampler_free(struct llama_sampler*);
void llama_free(struct llama_context*);
void llama_model_free(struct llama_model*);
"""

# MODEL KEY PROFILE COUNT: writes that many tokens after a prompt, for alice.
PROGRAM = """
#include <countermark.h>
#include <llama.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static size_t read_file(const char* path, char* text, size_t size) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) exit(6);
  const size_t read = fread(text, 1, size, file);
  fclose(file);
  return read;
}

int main(int count, char** arguments) {
  static char key[4096], profile[65536];
  if (count != 5) return 2;
  struct cm_error error = CM_INIT(struct cm_error);
  struct cm_service_options start = CM_INIT(struct cm_service_options);
  start.key = key;
  start.key_size = read_file(arguments[2], key, sizeof key);
  start.profile = profile;
  start.profile_size = read_file(arguments[3], profile, sizeof profile);
  start.may_leak_timing = 1;
  struct cm_service* service = NULL;
  if (cm_service_create(&start, &service, &error) != CM_OK)
    return fprintf(stderr, "%%s\\n", error.message), 1;

  llama_backend_init();
  struct llama_model* model = llama_model_load_from_file(arguments[1], llama_model_default_params());
  if (model == NULL) return 3;
  struct llama_context* context = llama_init_from_model(model, llama_context_default_params());
  if (context == NULL) return 3;
  const struct llama_vocab* vocabulary = llama_model_get_vocab(model);
  const llama_logit_bias endless = {llama_vocab_eos(vocabulary), -INFINITY};

  struct llama_sampler* chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
  llama_sampler_chain_add(
      chain, llama_sampler_init_logit_bias(llama_vocab_n_tokens(vocabulary), 1, &endless));
  llama_sampler_chain_add(chain, llama_sampler_init_top_p(.95F, 1));
  llama_sampler_chain_add(chain, llama_sampler_init_temp(1));
%s
  llama_token tokens[16];
  llama_token token;
  struct llama_batch batch = llama_batch_get_one(
      tokens, llama_tokenize(vocabulary, "The server", 10, tokens, 16, true, false));
  for (int left = atoi(arguments[4]); left > 0; --left) {
    char piece[256];
    if (llama_decode(context, batch) != 0) return 70;
    token = llama_sampler_sample(chain, context, -1);
    fwrite(piece, 1, (size_t)llama_token_to_piece(vocabulary, token, piece, sizeof piece, 0, false), stdout);
    batch = llama_batch_get_one(&token, 1);
  }

  struct cm_counters counted = CM_INIT(struct cm_counters);
  cm_service_counters(service, &counted);
  fprintf(stderr, "marked %%d\\n", (int)counted.draws[CM_MARKED]);
  llama_sampler_free(chain);
  cm_service_free(service);
  llama_free(context);
  llama_model_free(model);
  return 0;
}
"""


def snippet() -> str:
    found, = (block for language, block in blocks("engines/llama-cpp.md") if language == "c")
    return found


def words(struct: type[ctypes.Structure]) -> int:
    """Passed in memory, as a struct of so many pointers is."""
    size, word = ctypes.sizeof(struct), ctypes.sizeof(ctypes.c_void_p)
    assert size > 2 * word and size % word == 0
    return size // word


@unittest.skipIf(shutil.which("cc") is None, "there is no C compiler, cc")
@unittest.skipIf(not LIBRARY, "COUNTERMARK_LIBRARY does not name libcountermark.so.1")
class InC(Embedded):
    def compile(self) -> Path:
        (self.folder / "llama.h").write_text(HEADER % {
            "batch": words(libllama.llama_batch), "model": words(libllama.llama_model_params),
            "context": words(libllama.llama_context_params)})
        source, program = self.folder / "server.c", self.folder / "server"
        source.write_text(PROGRAM % snippet())
        llama = Path(libllama._lib._name).parent
        self.call("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "watermark" / "c_api",
                  "-I", self.folder, source, "-o", program, LIBRARY, "-L", llama, "-lllama", "-lm",
                  f"-Wl,-rpath,{llama}", f"-Wl,-rpath,{Path(LIBRARY).parent}", f"-Wl,-rpath-link,{llama}")
        return program

    def call(self, *command: object) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace"))
        return done

    def test_the_pages_chain_marks_an_answer(self) -> None:
        key, answer = self.folder / "server.key", self.folder / "answer.txt"
        self.key.save(key)
        done = self.call(self.compile(), self.gguf, key, PROFILE, 200)
        answer.write_bytes(done.stdout)
        found = json.loads(call("detect", "-k", key, "-p", PROFILE, "--account", "alice", "--json", answer))
        self.assertEqual(found["verdict"], "detected", done.stdout)
        self.check_account(done.stdout.decode(errors="replace"), "alice", "bob")
        marked = int(re.findall(rb"^marked (\d+)$", done.stderr, re.MULTILINE)[0])
        self.assertGreater(marked, 80)
        self.assertLess(marked, 200)


if __name__ == "__main__":
    unittest.main()
