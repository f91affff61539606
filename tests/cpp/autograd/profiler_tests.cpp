// Profiles from C++: what is recorded, and where.
#include "flashlight/core/profiler.h"

#include <algorithm>
#include <thread>

#include <doctest/doctest.h>

#include "flashlight/flashlight.h"

namespace {

using namespace flashlight;

// A profile that ends with the test, whatever happens.
struct Running {
  explicit Running(const ProfileOptions& options = {})
      : profile(start_profile(options)) {}
  ~Running() {
    if (running_profile()) {
      stop_profile();
    }
  }
  std::shared_ptr<Profile> profile;
};

// "inner in outer", for each event.
std::vector<std::string> places(const Profile& profile) {
  std::vector<std::string> out;
  for (const ProfileEvent& e : profile.events) {
    out.push_back(e.name);
    if (e.parent >= 0) {
      out.back() += " in " + profile.events[size_t(e.parent)].name;
    }
  }
  return out;
}

} // namespace

TEST_CASE("ops, nodes and scopes are events") {
  Tensor x(mx::array({1.0f, 2.0f}, mx::float32));
  set_requires_grad(x, true);
  Running running({.shapes = true});
  Tensor y;
  {
    ProfileScope scope(current_profile(), "mine", RecordScope::UserScope);
    y = sum(x * x);
  }
  backward(y);
  stop_profile();
  auto found = places(*running.profile);
  REQUIRE(found.size() > 5);
  CHECK(found[0] == "mine");
  CHECK(found[1] == "aten::mul in mine");
  CHECK(found[2] == "aten::sum in mine");
  std::string outer = "autograd::engine::evaluate_function: MulBackward0";
  auto node = std::find(found.begin(), found.end(), "MulBackward0 in " + outer);
  REQUIRE(node != found.end());
  const auto& events = running.profile->events;
  const ProfileEvent& of_node = events[size_t(node - found.begin())];
  CHECK(of_node.sequence == events[1].sequence);
  CHECK(of_node.scope == RecordScope::BackwardFunction);
  CHECK(events[1].inputs.size() == 2);
  CHECK(events[1].inputs[0].tensors[0].sizes == IntList{2});
}

TEST_CASE("what an event computed is there when it ends") {
  Tensor x(mx::array({1.0f, 2.0f}, mx::float32));
  Running running;
  Tensor y = x * x;
  CHECK(y->storage->array().status() == mx::array::Status::available);
}

TEST_CASE("events end in any order, and with errors") {
  Running running;
  size_t first = running.profile->open("first", RecordScope::UserScope);
  size_t second = running.profile->open("second", RecordScope::UserScope);
  running.profile->close(first);
  Tensor x(mx::array({1.0f, 2.0f}, mx::float32));
  Tensor y(mx::array({1.0f, 2.0f, 3.0f}, mx::float32));
  CHECK_THROWS_AS(x * y, Error);
  CHECK(places(*running.profile).back() == "aten::mul in second");
  running.profile->close(second);
  CHECK(running.profile->innermost() == nullptr);
}

TEST_CASE("a profile is of its thread, and there is one") {
  Running running;
  CHECK_THROWS_WITH(
      start_profile({}), "Profiler is already enabled on this thread.");
  bool seen = true;
  std::thread([&] { seen = current_profile() != nullptr; }).join();
  CHECK(!seen);
  running.profile->paused = true;
  CHECK(current_profile() == nullptr);
  stop_profile();
  CHECK(!profiling());
  CHECK_THROWS_AS(stop_profile(), Error);
}
