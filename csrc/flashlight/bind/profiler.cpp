// Profiles for Python: what they recorded, scopes that a program names, the
// lines of Python that ops were called from.
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <map>
#include <optional>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/bind/values.h"
#include "flashlight/core/profiler.h"

namespace flashlight::bind {

namespace {

// A scope that a program named: any of a thread's can end at any time.
struct RecordHandle {
  std::shared_ptr<Profile> profile;
  size_t event;
};

std::string text(PyObject* unicode) {
  const char* s = unicode ? PyUnicode_AsUTF8(unicode) : nullptr;
  if (!s) {
    PyErr_Clear();
  }
  return s ? s : "?";
}

// Files whose calls are the profiler's own.
std::vector<std::string>& hidden_files() {
  static auto* files = new std::vector<std::string>;
  return *files;
}

bool is_hidden(PyCodeObject* code) {
  const auto& files = hidden_files();
  return std::find(files.begin(), files.end(), text(code->co_filename)) !=
         files.end();
}

nb::object code_of(PyFrameObject* frame) {
  return nb::steal(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
}

std::string line_of(PyCodeObject* code, int line) {
  return text(code->co_filename) + "(" + std::to_string(line) +
         "): " + text(code->co_name);
}

// Calls f of each frame of this thread, innermost first.
template <typename F>
void for_frames(F&& f) {
  auto next = [](PyFrameObject* frame) {
    return nb::steal(reinterpret_cast<PyObject*>(frame));
  };
  nb::object frame = nb::borrow(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
  while (frame.ptr()) {
    auto* raw = reinterpret_cast<PyFrameObject*>(frame.ptr());
    f(raw);
    frame = next(PyFrame_GetBack(raw));
  }
}

std::vector<std::string> python_stack() {
  nb::gil_scoped_acquire gil;
  std::vector<std::string> lines;
  for_frames([&](PyFrameObject* frame) {
    nb::object code = code_of(frame);
    auto* raw = reinterpret_cast<PyCodeObject*>(code.ptr());
    if (!is_hidden(raw)) {
      lines.push_back(line_of(raw, PyFrame_GetLineNumber(frame)));
    }
  });
  return lines;
}

// --- calls of Python functions -----------------------------------------------

class PythonCalls {
 public:
  PythonCalls(
      std::shared_ptr<Profile> profile,
      nb::object module_code,
      bool functions)
      : profile_(std::move(profile)),
        module_code_(std::move(module_code)),
        functions_(functions) {}

  // What is being called already.
  void enter_frames() {
    std::vector<nb::object> frames;
    for_frames([&](PyFrameObject* frame) {
      frames.push_back(nb::borrow(reinterpret_cast<PyObject*>(frame)));
    });
    std::reverse(frames.begin(), frames.end());
    for (const nb::object& f : frames) {
      auto* frame = reinterpret_cast<PyFrameObject*>(f.ptr());
      enter(frame, PyFrame_GetLineNumber(frame));
    }
  }
  void enter(PyFrameObject* frame, int line) {
    nb::object object = code_of(frame);
    auto* code = reinterpret_cast<PyCodeObject*>(object.ptr());
    if (hidden_ > 0 || is_hidden(code)) {
      ++hidden_;
      open_.push_back({});
    } else if (object.is(module_code_)) {
      push(module_name(frame));
    } else if (functions_) {
      push(line_of(code, line));
    } else {
      open_.push_back({});
    }
  }
  void enter_builtin(PyObject* function) {
    if (hidden_ > 0) {
      ++hidden_;
      open_.push_back({});
      return;
    }
    nb::object repr = nb::steal(PyObject_Repr(function));
    PyErr_Clear();
    push(text(repr.ptr()));
  }
  void leave() {
    if (open_.empty()) {
      return;
    }
    hidden_ -= hidden_ > 0;
    if (open_.back()) {
      profile_->close(*open_.back());
    }
    open_.pop_back();
  }
  bool functions() const {
    return functions_;
  }

 private:
  void push(std::string name) {
    if (profile_->paused) {
      open_.push_back({});
    } else {
      open_.push_back(
          profile_->open(std::move(name), RecordScope::PythonFunction));
    }
  }

  // "nn.Module: Linear_1": the second one of its class that was called.
  std::string module_name(PyFrameObject* frame) {
    nb::object locals = nb::steal(PyFrame_GetLocals(frame));
    nb::object self = nb::steal(PyMapping_GetItemString(locals.ptr(), "self"));
    if (!self.ptr()) {
      PyErr_Clear();
      return "nn.Module";
    }
    std::string name =
        text(nb::object(nb::handle(self.type()).attr("__name__")).ptr());
    auto& seen = modules_[name];
    auto at = std::find_if(seen.begin(), seen.end(), [&](const nb::object& m) {
      return m.is(self);
    });
    auto number = at - seen.begin();
    if (at == seen.end()) {
      seen.push_back(self);
    }
    return "nn.Module: " + name + "_" + std::to_string(number);
  }

  std::shared_ptr<Profile> profile_;
  nb::object module_code_; // of nn.Module.__call__
  bool functions_;         // or modules alone
  int hidden_ = 0;         // calls, from the first one of the profiler's
  std::vector<std::optional<size_t>> open_;
  std::map<std::string, std::vector<nb::object>> modules_;
};

std::unique_ptr<PythonCalls>& python_calls() {
  thread_local std::unique_ptr<PythonCalls> calls;
  return calls;
}

int on_python_call(PyObject*, PyFrameObject* frame, int what, PyObject* arg) {
  PythonCalls* calls = python_calls().get();
  if (!calls) {
    return 0;
  }
  return guarded<int>(-1, [&] {
    if (what == PyTrace_CALL) {
      nb::object code = code_of(frame);
      calls->enter(
          frame, reinterpret_cast<PyCodeObject*>(code.ptr())->co_firstlineno);
    } else if (what == PyTrace_C_CALL && calls->functions()) {
      calls->enter_builtin(arg);
    } else if (
        what == PyTrace_RETURN ||
        (calls->functions() &&
         (what == PyTrace_C_RETURN || what == PyTrace_C_EXCEPTION))) {
      calls->leave();
    }
    return 0;
  });
}

// --- as Python objects -------------------------------------------------------

nb::object int_list(const IntList& list) {
  nb::list out;
  for (int64_t i : list) {
    out.append(i);
  }
  return out;
}

nb::object of_input(const RecordedInput& input, bool strides) {
  auto one = [&](const RecordedInput::Shape& s) {
    return int_list(strides ? s.strides : s.sizes);
  };
  if (input.is_list) {
    nb::list out;
    for (const auto& s : input.tensors) {
      out.append(one(s));
    }
    return out;
  }
  return input.is_tensor ? one(input.tensors[0]) : nb::object(nb::list());
}

// A tensor's dtype; of others, PyTorch's word for what it is.
nb::object type_of(const RecordedInput& input) {
  if (input.is_list) {
    return nb::str("TensorList");
  }
  if (input.is_tensor && input.tensors[0].defined) {
    return nb::str(std::string(c_name(input.tensors[0].dtype)).c_str());
  }
  if (input.value.is_none() || input.value.is<Device>() ||
      input.value.is<GeneratorHandle>() || input.value.is<std::string>()) {
    return nb::str("");
  }
  bool list = input.value.is<IntList>() || input.value.is<DoubleList>() ||
              input.value.is<BoolList>() || input.value.is<ScalarList>();
  return nb::str(list ? "ScalarList" : "Scalar");
}

nb::dict event_dict(const ProfileEvent& e) {
  nb::dict d;
  d["name"] = e.name;
  d["overload"] = e.overload;
  d["scope"] = static_cast<int>(e.scope);
  d["start"] = e.start;
  d["end"] = e.end;
  d["parent"] = e.parent;
  d["sequence"] = e.sequence;
  d["thread"] = e.thread;
  d["forward_thread"] = e.forward_thread;
  d["flops"] = e.flops;
  d["memory"] = e.memory;
  d["finished"] = e.finished;
  nb::list shapes, strides, types, values;
  for (const RecordedInput& input : e.inputs) {
    shapes.append(of_input(input, false));
    strides.append(of_input(input, true));
    types.append(type_of(input));
    bool tensors = input.is_tensor || input.is_list;
    values.append(
        tensors ? nb::object(nb::none())
                : nb::steal(argument_object(input.value)));
  }
  d["shapes"] = shapes;
  d["strides"] = strides;
  d["types"] = types;
  d["values"] = values;
  d["stack"] = nb::cast(e.stack);
  return d;
}

nb::dict profile_dict(const Profile& p) {
  nb::list events, allocations;
  for (const ProfileEvent& e : p.events) {
    events.append(event_dict(e));
  }
  for (const ProfileAllocation& a : p.allocations) {
    allocations.append(nb::make_tuple(a.at, a.bytes, a.total, a.event));
  }
  nb::dict d;
  d["thread"] = thread_number();
  d["started"] = p.started;
  d["stopped"] = p.stopped;
  d["events"] = events;
  d["allocations"] = allocations;
  return d;
}

void start(
    bool shapes,
    bool memory,
    bool stack,
    bool flops,
    bool modules,
    nb::object module_code,
    std::vector<std::string> hidden) {
  hidden_files() = std::move(hidden);
  profile_stack_hook() = python_stack;
  auto profile = start_profile({shapes, memory, stack, flops, modules});
  if (stack || modules) {
    python_calls() = std::make_unique<PythonCalls>(
        std::move(profile), std::move(module_code), stack);
    python_calls()->enter_frames();
    PyEval_SetProfile(on_python_call, nullptr);
  }
}

nb::dict stop() {
  if (python_calls()) {
    PyEval_SetProfile(nullptr, nullptr);
    python_calls().reset();
  }
  return profile_dict(*stop_profile());
}

// `inputs`: what record_function was given, tensors or anything.
nb::object enter(const std::string& name, nb::handle inputs, bool user) {
  auto profile = profiling() ? current_profile() : nullptr;
  if (!profile) {
    return nb::none();
  }
  size_t event = profile->open(
      name, user ? RecordScope::UserScope : RecordScope::Function);
  if (profile->options.shapes && !inputs.is_none()) {
    for (nb::handle o : nb::borrow<nb::sequence>(inputs)) {
      Value value;
      if (is_tensor(o.ptr())) {
        value = as_tensor(o.ptr());
      }
      profile->events[event].inputs.push_back(recorded_input(value));
    }
  }
  return nb::cast(RecordHandle{std::move(profile), event});
}

} // namespace

void bind_profiler(nb::module_& m) {
  nb::class_<RecordHandle>(m, "_RecordHandle")
      .def_ro("event", &RecordHandle::event);
  m.def(
      "_profiler_start",
      start,
      nb::arg("shapes"),
      nb::arg("memory"),
      nb::arg("stack"),
      nb::arg("flops"),
      nb::arg("modules"),
      nb::arg("module_code").none(),
      nb::arg("hidden"));
  m.def("_profiler_stop", stop);
  m.def("_profiler_running", [] { return running_profile() != nullptr; });
  m.def("_profiler_pause", [](bool paused) {
    auto profile = running_profile();
    FL_CHECK(profile, "no profiler runs on this thread");
    profile->paused = paused;
  });
  m.def("_unix_nanoseconds", unix_nanoseconds);
  m.def(
      "_record_enter",
      enter,
      nb::arg("name"),
      nb::arg("inputs").none(),
      nb::arg("user"));
  m.def("_record_exit", [](RecordHandle& h) { h.profile->close(h.event); });
}

} // namespace flashlight::bind
