// SPDX-License-Identifier: Apache-2.0
// Published numbers against mpmath at 60 digits, and against what the systems themselves print.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "verifier/stats/published.h"
#include "verifier/stats/tail.h"

namespace countermark::stats {
namespace {

void expect_near(PublishedP value, double p, double log10_p) {
  EXPECT_NEAR(value.log10_p, log10_p, 2e-12 * std::max(std::abs(log10_p), 1e-3));
  if (p > 1e-290) {
    EXPECT_NEAR(value.p / p, 1, 1e-12);
  } else if (p > 1e-307) {
    EXPECT_NEAR(value.p / p, 1, 1e-9);
  } else {
    EXPECT_LT(value.p, 1e-307);
  }
}

TEST(Published, NormalTail) {
  expect_near(lm_watermarking_p(-5), 0.99999971334842812, -1.2449121373882917e-7);
  expect_near(lm_watermarking_p(-1), 0.84134474606854295, -0.075026012957818023);
  expect_near(lm_watermarking_p(0), 0.5, -0.3010299956639812);
  expect_near(lm_watermarking_p(1), 0.15865525393145705, -0.7995455414919705);
  expect_near(lm_watermarking_p(4), 3.1671241833119921e-5, -4.4993349075564789);
  expect_near(lm_watermarking_p(10), 7.6198530241605261e-24, -23.118053405486076);
  expect_near(lm_watermarking_p(36), 4.1826240657972833e-284, -283.37855116804829);
  expect_near(lm_watermarking_p(40), 0, -349.43700645934584);
  expect_near(lm_watermarking_p(200), 0, -8688.5897688515631);
}

TEST(Published, Gumbel) {
  expect_near(gumbel_p(1, 0.5), 0.60653065971263342, -0.21714724095162591);
  // vLLM's golden text under its key and under another, and SGLang's published value.
  expect_near(gumbel_p(64, 296.272957878563), 7.1281962808721642e-61, -60.147020350143173);
  expect_near(gumbel_p(64, 63.250967165856), 0.52084479368913301, -0.2832916726436583);
  expect_near(gumbel_p(4096, 4096), 0.4979221728062154, -0.30283853387119677);
  expect_near(gumbel_p(1000, 4000), 0, -703.19989463177447);
  expect_near(gumbel_p(2, 900), 0, -387.91030892194758);
  expect_near(gumbel_p(100000, 115000), 0, -446.70859644730324);
  expect_near(gumbel_p(100000, 120000), 0, -769.96528379157872);
}

TEST(Published, DualKey) {
  expect_near(dual_key_p(100, 150, 0.1), 6.7960332997575575e-7, -6.1677445018062991);
  expect_near(dual_key_p(100, 150, 0.5), 3.3711032555258843e-10, -9.4722279450114088);
  expect_near(dual_key_p(64, 100, 0.25), 4.5494621711705406e-7, -6.3420399417821757);
  expect_near(dual_key_p(1000, 3500, 0.1), 0, -662.91127928486354);
  expect_near(dual_key_p(10, 9, 0.1), 0.60454895731137342, -0.21856852353895017);
  expect_near(dual_key_p(7, 1000, 0), 0, -419.14920341606992);
}

// What the moment-matched Gamma is wrong by: nothing for equal weights, a factor in the tail else.
TEST(Published, DualKeyFallsShortOfTheExactTail) {
  for (const std::uint64_t n : {20u, 100u, 1000u}) {
    const double at = static_cast<double>(n) + 5 * std::sqrt(static_cast<double>(n));
    const auto statistic = static_cast<std::uint64_t>(at * 10 * 0x1p20);
    const double equal = dual_key_p(n, at, 0.5).log10_p;
    EXPECT_NEAR(two_gamma_tail(n, statistic, 5, 5).log10(), equal, 1e-4);
    EXPECT_GT(two_gamma_tail(n, statistic, 9, 1).log10(), dual_key_p(n, at, 0.1).log10_p + 0.03);
  }
}

TEST(Published, GreenLists) {
  expect_near(three_bricks_greenlist_p(100, 40, 0.25), 0.00068659220796299107, -3.1633011296284134);
  expect_near(textseal_greenlist_p(100, 40, 0.25), 0.00050527881214018622, -3.296468912653372);
  expect_near(three_bricks_greenlist_p(100, 25, 0.25), 0.53832886791858857, -0.26895233049159882);
  expect_near(textseal_greenlist_p(100, 25, 0.25), 0.49242902203517017, -0.30765635919665193);
  expect_near(three_bricks_greenlist_p(10, 10, 0.5), 0.0009765625, -3.010299956639812);
  expect_near(textseal_greenlist_p(10, 10, 0.5), 0.00048828125, -3.3113299523037931);
  expect_near(three_bricks_greenlist_p(2000, 1200, 0.25), 3.2864531303964006e-240,
              -239.48327255701068);
  expect_near(three_bricks_greenlist_p(2000, 1999, 0.25), 0, -1200.3417590291587);
  expect_near(textseal_greenlist_p(2000, 1999, 0.25), 0, -1200.6427166604999);
  expect_near(three_bricks_greenlist_p(600, 600, 0.25), 0, -361.23599479677743);
  expect_near(textseal_greenlist_p(1, 1, 0.25), 0.125, -0.90308998699194359);
  expect_near(three_bricks_greenlist_p(10, 0, 0.25), 1, 0);
  expect_near(textseal_greenlist_p(10, 0, 0.25), 0.97184324264526367, -0.012403780695526358);
}

TEST(Published, Score) {
  EXPECT_DOUBLE_EQ(published_z(100, 40, 0.25), 15 / std::sqrt(100 * 0.25 * 0.75));
  EXPECT_DOUBLE_EQ(published_z(100, 10, 0.25), -15 / std::sqrt(100 * 0.25 * 0.75));
}

}  // namespace
}  // namespace countermark::stats
