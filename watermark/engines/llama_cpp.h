// SPDX-License-Identifier: Apache-2.0
// The mark as a sampler of llama.cpp: the last one of a chain, in the place of `dist`.
//
// Nothing of llama.cpp is needed to compile or to link this. Its sampler interface is a table of
// functions that grows at its end; ours is followed by more zeros than it will ever read.
#pragma once

#include <memory>

#include "watermark/error.h"
#include "watermark/service.h"

extern "C" {
// As llama.h declares them.
struct llama_sampler;
struct llama_sampler_i;
// llama.cpp's llama_sampler_init: samplers are made and freed by its own allocator.
typedef struct llama_sampler* (*countermark_llama_init)(struct llama_sampler_i* interface,
                                                        void* context);
}

namespace countermark {

// A sampler that writes one response, begun by the service with these options: `apply` draws among
// the candidates that the samplers before it have left, by their logits, and selects one; `accept`
// commits. As their probabilities stand, so it draws: temperature, top-k and the rest are the
// chain's.
//
// An `apply` that is repeated before the next `accept` draws again because of what the first one
// said, as under a grammar: unmarked, by noise of its own. What is accepted before the first
// `apply` is the prompt and no part of the response. `reset` begins another response, with a new
// nonce, under the key of then; when there is none and the policy is to refuse, which a reset
// cannot, the response is counted as refused and drawn unmarked. A clone stands at the same point
// and draws alike. After max_tokens the answer goes on unmarked. A row without any candidate gets
// its first entry, and is counted as an error.
//
// The sampler keeps the service. It belongs to one thread at a time. kInternal when llama.cpp makes
// none.
Result<llama_sampler*> make_llama_sampler(std::shared_ptr<Service> service, Response response,
                                          const ResponseOptions& options,
                                          countermark_llama_init init);

}  // namespace countermark
