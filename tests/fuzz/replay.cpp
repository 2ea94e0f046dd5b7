// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of folders, without libFuzzer and with any compiler: what keeps
// the seeds, and every bug that was once found, in the ordinary tests.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "verifier/io/file.h"

namespace {

// No seed at all is an error: the test would say nothing.
int replay(const std::vector<std::string>& folders) {
  std::vector<std::string> paths;
  for (const std::string& folder : folders)
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);  // the last name is the culprit's
    const std::string bytes = countermark::io::read_file(path).value();
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  return paths.empty() ? 1 : 0;
}

}  // namespace

int main(int count, char** arguments) { return replay({arguments + 1, arguments + count}); }
