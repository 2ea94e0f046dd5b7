// SPDX-License-Identifier: Apache-2.0
// Marks a few tokens with the installed library.
#include <cstdio>
#include <vector>

#include "watermark/sampler.h"

int main() {
  using namespace countermark;
  const auto key = MasterKey::generate().epoch("model", "epoch");
  const auto mark = NativeMark::create(*key, Profile::defaults());
  if (!mark) return 1;
  Response response(*mark, {"", "alice"}, "nonce", Secret<16>(), 8);
  const std::vector<float> logits(100);
  SamplerWorkspace workspace;
  int marked = 0;
  while (response.tokens().size() < 8) {
    const auto draw = sample({logits}, {}, response, {}, 0, workspace);
    if (!draw || !response.commit(draw->token)) return 1;
    if (draw->kind == DrawKind::kMarked) ++marked;
  }
  std::printf("%d\n", marked);
  return marked > 0 ? 0 : 1;
}
