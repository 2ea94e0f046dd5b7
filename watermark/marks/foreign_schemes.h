// SPDX-License-Identifier: Apache-2.0
// The schemes of other systems, each in the file of its name.
#pragma once

#include "watermark/foreign_profile.h"

namespace countermark {

extern const SchemeInfo kVllmGumbel;
extern const SchemeInfo kVllmDualGumbel;
extern const SchemeInfo kVllmSbw;
extern const SchemeInfo kVllmSynthId;
extern const SchemeInfo kSglangGumbel;
extern const SchemeInfo kSglangDualGumbel;
extern const SchemeInfo kHfKgw;
extern const SchemeInfo kHfSynthId;
extern const SchemeInfo kSynthIdText;
extern const SchemeInfo kLmWatermarking;
extern const SchemeInfo kTgiKgw;
extern const SchemeInfo kThreeBricksGreenlist;
extern const SchemeInfo kTextSeal;

}  // namespace countermark
