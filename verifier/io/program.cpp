// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

// NOLINTNEXTLINE(readability-redundant-declaration): POSIX leaves it to us
extern char** environ;

namespace countermark::io {
namespace {

Error cannot(const char* what, const std::string& name, int number) {
  return Error{ErrorCode::kIo, std::string(what) + ": " + std::generic_category().message(number),
               name};
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (std::string& string : strings) out.push_back(string.data());
  out.push_back(nullptr);
  return out;
}

// Ours, and that Python is not to look for modules in the current folder.
std::vector<std::string> environment() {
  std::vector<std::string> out = {"PYTHONSAFEPATH=1"};
  for (char** at = environ; *at != nullptr; ++at)
    if (std::strncmp(*at, "PYTHONSAFEPATH=", 15) != 0) out.emplace_back(*at);
  return out;
}

}  // namespace

Result<std::unique_ptr<Program>> Program::start(const std::vector<std::string>& command) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(cannot("cannot start", command[0], errno));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<std::string> arguments = command;
  std::vector<std::string> settings = environment();
  pid_t process = -1;
  const int number = ::posix_spawnp(&process, command[0].c_str(), &actions, nullptr,
                                    pointers(arguments).data(), pointers(settings).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (number != 0) {
    ::close(ends[0]);
    return fail(cannot("cannot start", command[0], number));
  }
  return std::unique_ptr<Program>(new Program(process, ends[0], command[0]));
}

Program::~Program() {
  ::close(output_);
  if (!status_) ::kill(process_, SIGKILL);
  wait();
}

Result<std::size_t> Program::read(std::span<char> buffer) {
  for (;;) {
    const ssize_t count = ::read(output_, buffer.data(), buffer.size());
    if (count >= 0) {
      taken_ += static_cast<std::uint64_t>(count);
      return static_cast<std::size_t>(count);
    }
    if (errno != EINTR) return fail(cannot("cannot read the output of", name_, errno));
  }
}

int Program::wait() {
  int status = 0;
  while (!status_) {
    const pid_t ended = ::waitpid(process_, &status, 0);
    if (ended == process_)
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    else if (errno != EINTR)
      status_ = 127;
  }
  return *status_;
}

}  // namespace countermark::io
