/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of an inference server: example KEYFILE ACCOUNT. Build it with
 *   cc example.c $(pkg-config --cflags --libs countermark) */
#include <countermark.h>
#include <stdio.h>

enum { kVocabulary = 1000, kTokens = 200 };

/* A language model would stand here. */
static void next_logits(uint32_t last, float* logits) {
  for (uint32_t i = 0; i < kVocabulary; ++i) logits[i] = (float)((i * 7919 + last * 31) % 97) / 9;
}

int main(int count, char** arguments) {
  static char key[4096], text[1024];
  static float logits[kVocabulary];
  FILE* file = count == 3 ? fopen(arguments[1], "rb") : NULL;
  if (file == NULL) return fprintf(stderr, "usage: example KEYFILE ACCOUNT\n"), 2;
  struct cm_service_options start = CM_INIT(struct cm_service_options);
  start.key = key;
  start.key_size = fread(key, 1, sizeof key, file);
  fclose(file);
  struct cm_error error = CM_INIT(struct cm_error);
  struct cm_service* service = NULL;
  if (cm_service_create(&start, &service, &error) != CM_OK)
    return fprintf(stderr, "%s\n", error.message), 1; /* the server must not start */
  cm_service_describe(service, text, sizeof text);
  fprintf(stderr, "%s\n", text);

  struct cm_response_options wanted = CM_INIT(struct cm_response_options);
  wanted.account = arguments[2];
  wanted.max_tokens = kTokens;
  struct cm_response* response = NULL;
  struct cm_workspace* workspace = NULL;
  if (cm_response_create(service, &wanted, &response, &error) != CM_OK ||
      cm_workspace_create(1, kVocabulary, 0, &workspace, &error) != CM_OK)
    return fprintf(stderr, "%s\n", error.message), 1;
  struct cm_row row = CM_INIT(struct cm_row);
  row.response = response;
  row.logits = logits;
  row.size = kVocabulary;
  row.temperature = 1;
  struct cm_draw draw = {0, 0, 0, 0};
  for (int i = 0; i < kTokens; ++i) {
    next_logits(draw.token, logits);
    if (cm_sample(service, workspace, &row, 1, &draw, &error) != CM_OK)
      return fprintf(stderr, "%s\n", error.message), 1;
    cm_commit(response, draw.token);
    printf("%u ", draw.token);
  }
  cm_workspace_free(workspace);
  cm_response_free(response);
  cm_service_free(service);
  return 0;
}
