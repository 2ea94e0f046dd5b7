// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/inputs.h"

#include "tests/text/reading.h"

namespace countermark::text {
namespace {

class Inputs : public Reading {
 protected:
  void touch(const std::string& name) {
    fs::create_directories((folder_ / name).parent_path());
    write(name, "");
  }

  // What an input below the folder stands for, without the folder's name; or the error's message.
  std::vector<std::string> expanded(const std::string& input) {
    const auto files = expand_inputs({path(input)});
    if (!files) return {"error: " + files.error().message};
    std::vector<std::string> out;
    for (const std::string& file : *files) out.push_back(file.substr(folder_.string().size() + 1));
    return out;
  }
};

using Names = std::vector<std::string>;

TEST_F(Inputs, Folders) {
  for (const char* name : {"d/b.jsonl", "d/B.jsonl", "d/a.txt", "d/sub/c.json.gz", "d/sub.csv",
                           "d/note.md", "d/README", "d/.hidden.txt", "d/.git/x.txt", "d/x.parquet",
                           "d/y.parquet.gz", "d/z.TSV.ZST"})
    touch(name);
  fs::create_directory_symlink(folder_ / "d", folder_ / "d" / "loop");
  fs::create_symlink(folder_ / "d" / "a.txt", folder_ / "d" / "link.txt");
  EXPECT_EQ(expanded("d"), (Names{"d/B.jsonl", "d/a.txt", "d/b.jsonl", "d/link.txt", "d/sub.csv",
                                  "d/sub/c.json.gz", "d/x.parquet", "d/z.TSV.ZST"}));
  EXPECT_EQ(expanded("d/sub"), (Names{"d/sub/c.json.gz"}));
  fs::create_directories(folder_ / "empty");
  EXPECT_EQ(expanded("empty"), (Names{"error: no file with an ending that is read is in it"}));
}

TEST_F(Inputs, Patterns) {
  for (const char* name : {"p/1.txt", "p/2.txt", "p/10.txt", "p/a/1.txt", "p/a/b/1.txt",
                           "p/a/b/2.md", "p/.h/1.txt", "p/\xc3\xa4.txt", "p/[x].txt", "p/st*r.txt"})
    touch(name);
  EXPECT_EQ(expanded("p/*.txt"),
            (Names{"p/1.txt", "p/10.txt", "p/2.txt", "p/[x].txt", "p/st*r.txt", "p/\xc3\xa4.txt"}));
  EXPECT_EQ(expanded("p/?.txt"), (Names{"p/1.txt", "p/2.txt", "p/\xc3\xa4.txt"}));
  EXPECT_EQ(expanded("p/**/1.txt"), (Names{"p/1.txt", "p/a/1.txt", "p/a/b/1.txt"}));
  EXPECT_EQ(expanded("p/a/**"), (Names{"p/a/1.txt", "p/a/b/1.txt", "p/a/b/2.md"}));
  EXPECT_EQ(expanded("*/*/*.txt"), (Names{"p/a/1.txt"}));
  EXPECT_EQ(expanded("p/*/b/*"), (Names{"p/a/b/1.txt", "p/a/b/2.md"}));
  EXPECT_EQ(expanded("p/1*0.t*t"), (Names{"p/10.txt"}));
  EXPECT_EQ(expanded("p/.h/*"), (Names{"p/.h/1.txt"}));
  // What is there under this very name is no pattern.
  EXPECT_EQ(expanded("p/st*r.txt"), (Names{"p/st*r.txt"}));
  EXPECT_EQ(expanded("p/[x].txt"), (Names{"p/[x].txt"}));
  EXPECT_EQ(expanded("p/*.jsonl"), (Names{"error: no file matches"}));
  EXPECT_EQ(expanded("q/*.txt"), (Names{"error: no file matches"}));
  EXPECT_EQ(expanded("p/1.txt/*"), (Names{"error: no file matches"}));
}

TEST_F(Inputs, OthersStayAsTheyAre) {
  const auto files = expand_inputs({"-", "none.txt", "-"});
  ASSERT_TRUE(files);
  EXPECT_EQ(*files, (Names{"-", "none.txt", "-"}));
}

}  // namespace
}  // namespace countermark::text
