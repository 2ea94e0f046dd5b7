/* SPDX-License-Identifier: Apache-2.0
 * The loop of an inference server: example KEYFILE ACCOUNT. To build it:
 *   cc example.c $(pkg-config --cflags --libs countermark) */
#include <countermark.h>
#include <stdio.h>

int main(int count, char** arguments) {
  static char key[4096], line[1024];
  static float logits[1000];
  struct cm_error error = CM_INIT(struct cm_error);
  struct cm_service* service = NULL;
  struct cm_response* response = NULL;
  struct cm_workspace* workspace = NULL;
  FILE* file = count == 3 ? fopen(arguments[1], "rb") : NULL;
  if (file == NULL) return fprintf(stderr, "usage: example KEYFILE ACCOUNT\n"), 2;
  struct cm_service_options start = {.struct_size = sizeof start, .key = key};
  start.key_size = fread(key, 1, sizeof key, file);
  fclose(file);
  struct cm_response_options wanted = {
      .struct_size = sizeof wanted, .account = arguments[2], .max_tokens = 200};
  if (cm_service_create(&start, &service, &error) != CM_OK || /* the server must not start */
      cm_response_create(service, &wanted, &response, &error) != CM_OK ||
      cm_workspace_create(1, 1000, 0, &workspace, &error) != CM_OK)
    return fprintf(stderr, "%s\n", error.message), 1;
  cm_service_describe(service, line, sizeof line);
  fprintf(stderr, "%s\n", line);
  struct cm_draw draw = {0, 0, 0, 0};
  struct cm_row row = {.struct_size = sizeof row, .response = response, .temperature = 1};
  row.logits = logits;
  row.size = 1000;
  for (int i = 0; i < 200 && error.status == CM_OK; ++i) {
    for (uint32_t id = 0; id < 1000; ++id) /* a language model would stand here */
      logits[id] = (float)((id * 7919 + draw.token * 31) % 97) / 9;
    if (cm_sample(service, workspace, &row, 1, &draw, &error) == CM_OK) printf("%u ", draw.token);
    cm_commit(response, draw.token);
  }
  cm_response_free(response), cm_workspace_free(workspace), cm_service_free(service);
  return error.status;
}
