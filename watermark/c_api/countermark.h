/* SPDX-License-Identifier: Apache-2.0
 *
 * Countermark's hook for inference servers: the next token of each row of logits, drawn with the
 * mark (docs/mark.md, docs/sampler.md).
 *
 * A server makes one service, and begins one response for every answer that it writes. At each step
 * it hands over the rows of all of them with cm_sample, and commits to each response the token that
 * it went on with. A draw remembers nothing: until a token is committed it can be drawn again, and
 * gives the same token.
 *
 * Threads: a service may be used by any number at once. A response belongs to one thread at a time,
 * and so does a workspace; different ones need no lock and share none. cm_sample, cm_commit and
 * cm_rewind allocate nothing, except for the message of an error.
 *
 * Every struct begins with its size, so that a program goes on working with libraries that know
 * more fields: set it with sizeof, and zero the rest (CM_INIT does both). Only struct cm_draw never
 * grows. Strings are UTF-8. Handles are freed with their own function, which takes NULL; a service
 * after its responses and samplers. */
#ifndef COUNTERMARK_H_
#define COUNTERMARK_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CM_API __attribute__((visibility("default")))
#else
#define CM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Rises when something is added. What was there stays as it is for as long as the library's
 * soname does. */
#define CM_ABI_VERSION 1
CM_API uint32_t cm_abi_version(void);
/* "0.2.0"; never freed. */
CM_API const char* cm_version(void);

/* struct cm_row row = CM_INIT(struct cm_row); in C++ CM_INIT(cm_row). */
#ifdef __cplusplus
#define CM_INIT(type)                                            \
  ([] {                                                          \
    type cm_struct{};                                            \
    cm_struct.struct_size = static_cast<uint32_t>(sizeof(type)); \
    return cm_struct;                                            \
  }())
#else
#define CM_INIT(type) ((type){.struct_size = (uint32_t)sizeof(type)})
#endif

/* What a function returns. Numbers are never reused. */
enum cm_status {
  CM_OK = 0,
  CM_INVALID_ARGUMENT = 1, /* a parameter outside its documented range */
  CM_INVALID_INPUT = 10,   /* a profile that is not one */
  CM_MISMATCH = 11,        /* a key of another model */
  CM_UNSUPPORTED = 12,     /* a scheme or kernel that this version or machine does not have */
  CM_KEY = 20,             /* a key that is not one, or none where one is needed */
  CM_NO_CANDIDATE = 40,    /* a row without one number above -inf */
  CM_FULL = 41,            /* a response that has all the tokens it was made for */
  CM_INTERNAL = 70         /* no memory, or a mistake of ours */
};

/* Why something failed; every function takes NULL for it. The message never repeats a key. */
struct cm_error {
  uint32_t struct_size;
  int32_t status;    /* enum cm_status */
  char message[504]; /* ends with 0 */
};

/* ---- The service. */

struct cm_service;

enum cm_policy {
  CM_SERVE_UNMARKED = 0, /* without a key responses are drawn unmarked, and counted */
  CM_REFUSE = 1          /* without a key there are no responses */
};

struct cm_service_options {
  uint32_t struct_size;
  uint32_t policy;     /* enum cm_policy */
  const char* key;     /* the text of an epoch key's file; wipe it afterwards */
  size_t key_size;     /* in bytes */
  const char* profile; /* the profile's JSON; NULL: the default profile */
  size_t profile_size; /* in bytes */
  /* Gets a line that is worth a log, at most one a minute, on the thread that has caused it. */
  void (*log)(void* user, const char* line);
  void* user;
  uint32_t may_leak_timing; /* 1: run even where AES depends on tables in memory */
  uint32_t reserved;
};

/* CM_KEY, CM_INVALID_INPUT, CM_UNSUPPORTED: the server must not start. */
CM_API int32_t cm_service_create(const struct cm_service_options* options, struct cm_service** out,
                                 struct cm_error* error);
CM_API void cm_service_free(struct cm_service* service);

/* Writes a text of at most `size` bytes, 0 included, cut if need be, and returns how many bytes it
 * takes whole, 0 not included. The line to log at the start, and the metrics in Prometheus' text
 * format. */
CM_API size_t cm_service_describe(const struct cm_service* service, char* text, size_t size);
CM_API size_t cm_service_metrics(const struct cm_service* service, char* text, size_t size);

/* The key for responses that begin from now on, given as in cm_service_options. CM_KEY and
 * CM_MISMATCH leave the one that is there. */
CM_API int32_t cm_service_set_key(struct cm_service* service, const char* key, size_t key_size,
                                  struct cm_error* error);
/* Responses that begin from now on have no key. Those that have begun go on with theirs. */
CM_API void cm_service_revoke_key(struct cm_service* service);
/* 0 switches marking off, from the next draw on and for all responses; 1 on again. */
CM_API void cm_service_set_marking(struct cm_service* service, int32_t is_on);

/* How a token was drawn: marked, or why not. */
enum cm_kind {
  CM_MARKED = 0,
  CM_SHORT_CONTEXT = 1, /* too few tokens before it */
  CM_REPEATED = 2,      /* its context was used before in the response */
  CM_HISTORY_FULL = 3,  /* more contexts than the response was made for */
  CM_NO_IDENTITY = 4,   /* the layer's account or cohort was not given */
  CM_REDRAW = 5,        /* attempt > 0 */
  CM_ONE_CANDIDATE = 6, /* nothing to choose */
  CM_GREEDY = 7,        /* temperature 0 */
  CM_OFF = 8,           /* marking is switched off, or not wanted for this response */
  CM_FAILED = 9         /* there was no key when the response began */
};
#define CM_KINDS 10
/* "marked", "short-context", ...; "" for a number that is no kind. Never freed. */
CM_API const char* cm_kind_name(uint32_t kind);

struct cm_counters {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t draws[16];   /* by enum cm_kind */
  uint64_t errors;      /* rows without a draw */
  uint64_t responses;   /* begun, marked or not */
  uint64_t refused;     /* by the policy */
  uint64_t key_changes; /* put in place or revoked */
};
CM_API int32_t cm_service_counters(const struct cm_service* service, struct cm_counters* out);

/* ---- Responses. */

struct cm_response;

struct cm_response_options {
  uint32_t struct_size;
  uint32_t unmarked;   /* 1: drawn unmarked, counted as CM_OFF */
  const char* account; /* pseudonyms; NULL or "": none, and its layer is drawn unmarked */
  const char* cohort;
  const uint8_t* nonce;     /* new for every response, alternative and retry; NULL: random */
  size_t nonce_size;        /* in bytes */
  const uint8_t* plain_key; /* 16 bytes for the unmarked draws, of the engine; NULL: random */
  uint64_t max_tokens;      /* to be committed, 1 to 2^30; about 40 bytes each are allocated here */
  uint64_t max_contexts;    /* of the history; 0: one for every token */
};

/* Begins a response under the key of now. CM_KEY without one under the policy CM_REFUSE;
 * CM_INVALID_ARGUMENT for numbers out of their range. */
CM_API int32_t cm_response_create(struct cm_service* service,
                                  const struct cm_response_options* options,
                                  struct cm_response** out, struct cm_error* error);
/* A second one at the same point, which draws alike: to try out what the first would say. Not for
 * alternatives: copies that go different ways share their noise. Each alternative is a response of
 * its own. */
CM_API int32_t cm_response_copy(const struct cm_response* response, struct cm_response** out,
                                struct cm_error* error);
CM_API void cm_response_free(struct cm_response* response);

/* Appends a token, whether it was drawn here or forced by the engine. CM_FULL when max_tokens are
 * committed. */
CM_API int32_t cm_commit(struct cm_response* response, uint32_t token);
/* Starts another channel, as from thinking to answer: contexts do not reach back. CM_FULL after 64
 * of them. */
CM_API int32_t cm_start_channel(struct cm_response* response);
/* A point to return to, and the return: for tokens that are dropped without regard to what they
 * say. CM_INVALID_ARGUMENT for a point that lies ahead. */
CM_API uint64_t cm_mark_point(const struct cm_response* response);
CM_API int32_t cm_rewind(struct cm_response* response, uint64_t point);

/* What a record of the response needs: the key's id and epoch, which stay as long as the response,
 * and the slot of one of the profile's layers (UINT32_MAX: no such layer). A response that began
 * without a key has "" and UINT32_MAX. */
CM_API const char* cm_response_key_id(const struct cm_response* response);
CM_API const char* cm_response_epoch(const struct cm_response* response);
CM_API uint32_t cm_response_slot(const struct cm_response* response, uint32_t layer);

/* ---- Draws. */

struct cm_workspace;

/* Scratch memory for batches of so many rows, of so many logits, with at most so many drafts one
 * after the other. Larger ones make it grow. */
CM_API int32_t cm_workspace_create(uint32_t rows, uint64_t row_size, uint32_t depth,
                                   struct cm_workspace** out, struct cm_error* error);
CM_API void cm_workspace_free(struct cm_workspace* workspace);

enum cm_type { CM_F32 = 0, CM_F16 = 1, CM_BF16 = 2 };

/* A row of logits and where it stands. */
struct cm_row {
  uint32_t struct_size;
  uint32_t type; /* enum cm_type of the logits */
  const struct cm_response* response;
  const void* logits; /* in nats; -inf and NaN are never drawn */
  uint64_t size;
  const uint32_t* ids; /* NULL: logit i is that of token i; else of ids[i], each once */
  double temperature;  /* 0: the largest logit; the logits are divided by it */
  double top_p;        /* the shortest run from the top with this mass; 0 or 1: all */
  double min_p;        /* at least this fraction of the top's mass; 0: all */
  uint32_t top_k;      /* 0: all */
  uint32_t attempt;    /* > 0: drawn again because of what it says; unmarked */
  /* 0: the row follows the committed tokens. Else the row follows what an earlier row of the same
   * response follows, rows[parent - 1], and then `draft`, which is not committed. */
  uint32_t parent;
  uint32_t draft;
};

struct cm_draw {
  uint32_t token;
  int32_t status; /* CM_OK, or why this row has no token */
  uint32_t kind;  /* enum cm_kind */
  uint32_t layer; /* of the profile, when marked */
};

/* Draws draws[i] for rows[i]. Returns CM_OK when every row has its token, else the status of the
 * first that has none, which `error` describes; the others are drawn nevertheless. Every draw has
 * its status; CM_INTERNAL in all of them says that none was made. */
CM_API int32_t cm_sample(struct cm_service* service, struct cm_workspace* workspace,
                         const struct cm_row* rows, uint32_t row_count, struct cm_draw* draws,
                         struct cm_error* error);

/* The words behind the draw that follows the response's committed tokens and then `path`: a token's
 * word decides, with its probability, when it arrives. For implementations of the draw elsewhere,
 * as on a GPU, that want to compare. `how` may be NULL; its token is not set. */
CM_API int32_t cm_words(const struct cm_response* response, const uint32_t* path, uint32_t depth,
                        uint32_t attempt, const uint32_t* tokens, uint64_t count, uint32_t* words,
                        struct cm_draw* how);

/* ---- llama.cpp. */

struct llama_sampler;
struct llama_sampler_i;

/* A sampler for the end of a llama.cpp chain, in the place of `dist`: it writes one response, and
 * draws among the candidates that the samplers before it have left, as they stand. `init` is
 * llama.cpp's own llama_sampler_init; llama_sampler_free, or the chain, frees it, before the
 * service. Works with every llama.cpp whose sampler interface begins with name, accept, apply,
 * reset, clone, free. Fails as cm_response_create does.
 *
 * What is accepted before the first draw is the prompt and no part of the response. Resetting it
 * begins another response with a new nonce; a clone draws alike. Once max_tokens are committed the
 * rest is unmarked. A grammar that has forbidden a draw may apply it again for the same token: that
 * draw counts as CM_REDRAW. */
CM_API int32_t cm_llama_sampler_create(struct cm_service* service,
                                       const struct cm_response_options* options,
                                       struct llama_sampler* (*init)(struct llama_sampler_i*,
                                                                     void*),
                                       struct llama_sampler** out, struct cm_error* error);

#ifdef __cplusplus
}
#endif

#endif /* COUNTERMARK_H_ */
