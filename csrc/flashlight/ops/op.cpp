#include "flashlight/ops/op.h"
#include "flashlight/ops/op_node.h"

#include <algorithm>
#include <unordered_map>

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "flashlight/core/runtime.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/reduce.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

namespace {

struct Alias {
  std::string name, target, forms, module;
};

struct Registry {
  std::vector<const Op*> ops;
  std::unordered_map<std::string, const Op*> by_name;
  std::vector<Alias> aliases;
};

Registry& registry() {
  static auto* r = new Registry; // rows live as long as the process
  return *r;
}

// Calls f for each word of "a, b" or "a b".
template <typename F>
void for_words(std::string_view text, F&& f) {
  while (!text.empty()) {
    size_t start = text.find_first_not_of(" ,");
    if (start == std::string_view::npos) {
      return;
    }
    size_t end = std::min(text.find_first_of(" ,", start), text.size());
    f(text.substr(start, end - start));
    text = text.substr(end);
  }
}

// add -> AddBackward0, max_pool2d -> MaxPool2DBackward0
std::string default_node_name(std::string_view name) {
  std::string out;
  bool upper = true;
  for (char c : name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    bool digit = c >= '0' && c <= '9';
    out += upper && !digit
               ? static_cast<char>(toupper(static_cast<unsigned char>(c)))
               : c;
    upper = digit;
  }
  return out + "Backward0";
}

// Arguments that choose elements: PyTorch's nodes have no edge for them.
bool selects(std::string_view name) {
  return name == "condition" || name == "mask" || name == "index" ||
         name == "indices";
}

void set_forms(Op& op, std::string_view words) {
  for_words(words, [&](std::string_view w) {
    if (w == "function") {
      op.function = true;
    } else if (w == "method") {
      op.method = true;
    } else if (w == "inplace") {
      op.inplace = true;
    } else if (w == "out") {
      op.out = true;
    } else if (w == "inplace_function") {
      op.inplace = op.inplace_function = true;
    } else if (w == "copy") {
      op.copy = true;
    } else if (w == "fills") {
      op.fills = true;
    } else if (w == "inplace_node") {
      op.inplace_node = true;
    } else if (w == "wide_numbers") {
      op.wide_numbers = true;
    } else {
      fail(op.schema.full_name(), ": unknown form ", w);
    }
  });
}

const Op& add_op(std::unique_ptr<Op> owned) {
  owned->finish();
  Registry& r = registry();
  const Op* op = owned.release();
  FL_CHECK(
      r.by_name.emplace(op->schema.full_name(), op).second,
      op->schema.full_name(),
      ": two rows");
  r.ops.push_back(op);
  return *op;
}

// A row under `text` whose calls are the target's.
void add_alias(const Alias& alias, const std::string& text, const Op& target) {
  auto op = std::make_unique<Op>(text);
  FL_CHECK(
      op->schema.args.size() == target.schema.args.size(),
      op->schema.full_name(),
      ": not of the arguments of ",
      target.schema.full_name());
  op->target = &target;
  op->composite = true;
  op->derivative = Derivative::Composite;
  op->mutates = target.mutates;
  op->forward = [&target](const Call& c) {
    std::vector<Value> args(c.args, c.args + target.schema.args.size());
    return call(target, args.data());
  };
  op->doc = detail::concat("Another name of ", target.schema.name, ".");
  op->python_module = alias.module;
  if (alias.forms.empty()) {
    op->function = target.function;
    op->method = target.method;
    op->inplace = target.inplace;
    op->inplace_function = target.inplace_function;
    op->out = target.out;
  } else {
    set_forms(*op, alias.forms);
  }
  add_op(std::move(op));
}

// transpose.int(Tensor(a) self, ...) -> transpose_copy.int(Tensor self, ...)
std::string copy_schema(const Schema& schema) {
  std::string text = schema.text;
  text.insert(schema.name.size(), "_copy");
  for (std::string_view alias : {"(a)", "(a -> *)"}) {
    for (size_t at; (at = text.find(alias)) != std::string::npos;) {
      text.erase(at, alias.size());
    }
  }
  return text;
}

// The row name_copy of a view row: the view's values in storages of their own.
// The derivative does not care whether memory is shared.
std::unique_ptr<Op> copy_row(const Op& view) {
  auto op = std::make_unique<Op>(copy_schema(view.schema));
  op->function = op->out = true;
  op->derivative = view.derivative == Derivative::Formula ? Derivative::Unstated
                                                          : view.derivative;
  op->formulas = view.formulas;
  op->node_name = view.node_name + "_copy";
  // As PyTorch: pieces of one size are cast to whatever out= is.
  op->out_mismatch =
      view.schema.full_name() == "split.Tensor"
          ? "%*"
          : "Expected out tensor to have dtype %r, but got %o instead";
  op->doc = "As " + view.schema.name + ", but a copy.";
  op->complex128 = itself();
  op->forward = [&view](const Call& call) {
    Tensor self = *call.args[0].tensor();
    std::vector<Value> args(call.args, call.args + view.schema.args.size());
    if (self->conj || self->neg) {
      self = constant(self.value(), self);
      args[0] = self;
    }
    TensorList copies;
    for (ViewSpec& spec : view.view_fn(Call{view, args.data()})) {
      Tensor window = self.alias(std::move(spec.geometry), spec.dtype);
      window->conj = spec.conj;
      window->neg = spec.neg;
      copies.push_back(copied(window, contiguous_strides(window.sizes())));
    }
    Results results;
    results.push_back(
        view.list_result ? Value(std::move(copies))
                         : Value(std::move(copies.at(0))));
    return results;
  };
  return op;
}

} // namespace

void alias_op(
    std::string_view name,
    std::string_view target,
    std::string_view forms,
    std::string_view module) {
  registry().aliases.push_back(
      {std::string(name),
       std::string(target),
       std::string(forms),
       std::string(module)});
}

void register_aliases() {
  Registry& r = registry();
  for (const Alias& alias : r.aliases) {
    if (alias.name.find('(') != std::string::npos) {
      auto it = r.by_name.find(alias.target);
      FL_CHECK(
          it != r.by_name.end(), alias.name, ": there is no ", alias.target);
      add_alias(alias, alias.name, *it->second);
      continue;
    }
    const std::vector<const Op*> ops = r.ops; // which grows
    bool any = false;
    for (const Op* op : ops) {
      if (op->schema.name == alias.target) {
        any = true;
        add_alias(
            alias,
            alias.name + op->schema.text.substr(alias.target.size()),
            *op);
      }
    }
    FL_CHECK(any, alias.name, ": there is no ", alias.target);
  }
}

mx::array Call::array(size_t i) const {
  const Tensor* t = args[i].tensor();
  FL_CHECK(t, op.schema.name, "(): argument is not a tensor");
  if (cast && op.promoted[i] && t->dtype() != common) {
    bool half = kind_of(common) == kHalves;
    if (half && (*t)->wrapped_number && op.wide_numbers) {
      return mx::astype(t->value(), mx::float32);
    }
    return value_as(*t, common);
  }
  return t->value();
}

Kinds kind_of(Dtype dtype) {
  return is_complex(dtype)      ? kComplexes
         : dtype == Dtype::Bool ? kBools
         : !is_floating(dtype)  ? kIntegers
         : itemsize(dtype) == 2 ? kHalves
                                : kFloats;
}

Op::Op(std::string_view text) : schema(parse_schema(text)) {
  promoted.resize(schema.args.size(), false);
  node_name = default_node_name(schema.name);
  for (const Return& r : schema.returns) {
    list_result = list_result || r.type == Type::TensorList;
  }
  for (const Argument& a : schema.args) {
    mutates = mutates || a.mutated;
  }
}

void Op::finish() {
  const std::string name = schema.full_name();
  FL_CHECK(forward || view_fn, name, ": a row without a forward");
  FL_CHECK(
      derivative != Derivative::Unstated || !formulas.empty(),
      name,
      ": a row that says nothing of its derivative");
  FL_CHECK(
      derivative == Derivative::Unstated || formulas.empty(),
      name,
      ": a row that states its derivative twice");
  if (!formulas.empty()) {
    derivative = Derivative::Formula;
  }
  std::vector<int> stated;
  if (derivative == Derivative::Formula) {
    for (const Formula& f : formulas) {
      for (int i : f.inputs) {
        if (!f.fn && selects(schema.args[static_cast<size_t>(i)].name)) {
          stated.push_back(i);
          continue; // no edge at all
        }
        FL_CHECK(
            std::find(differentiable.begin(), differentiable.end(), i) ==
                differentiable.end(),
            name,
            ": two formulas for ",
            schema.args[static_cast<size_t>(i)].name);
        differentiable.push_back(i);
        stated.push_back(i);
      }
    }
    std::sort(differentiable.begin(), differentiable.end());
  }
  for (size_t i = 0; i < schema.args.size(); ++i) {
    Type t = schema.args[i].type;
    bool tensor = t == Type::Tensor || t == Type::TensorList;
    if (!tensor) {
      continue;
    }
    if (derivative == Derivative::Vjp) {
      differentiable.push_back(static_cast<int>(i));
    }
    FL_CHECK(
        derivative != Derivative::Formula ||
            std::find(stated.begin(), stated.end(), static_cast<int>(i)) !=
                stated.end(),
        name,
        ": no formula for ",
        schema.args[i].name,
        "; zero_grad says that there is none");
  }
  multi_output_view = view && list_result;
  for (const Return& r : schema.returns) {
    keeps_bits = keeps_bits || r.view;
  }
}

// Note [Generic derivative]
// vjp_op() of an op takes its arguments and the gradients of its results and
// gives the gradients of its tensor arguments, by mx::vjp over the forward. It
// is a row like any other whose own derivative is generic too, so any order is
// there.
const Op& Op::vjp_op() const {
  if (vjp_op_) {
    return *vjp_op_;
  }
  auto op = std::make_unique<Op>(schema.text);
  op->schema = schema; // the text is that of the first op of all
  op->schema.name = schema.name + "_vjp";
  size_t own = schema.args.size();
  for (Argument& a : op->schema.args) {
    a.keyword_only = false;
  }
  Argument grads;
  grads.name = "grads";
  grads.type = Type::TensorList;
  grads.optional_elements = true;
  op->schema.args.push_back(grads);
  op->schema.returns = {Return{"", Type::TensorList, false, false}};
  op->list_result = true;
  op->promoted = promoted;
  op->promoted.push_back(false);
  op->derivative = Derivative::Vjp;
  op->node_name = default_node_name(schema.name + "_backward");
  op->forward = [this, own](const Call& call) {
    // The tensor arguments that are floats, in order, are the primals.
    std::vector<mx::array> primals;
    std::vector<std::pair<size_t, size_t>> where; // argument, element
    std::vector<Value> args(call.args, call.args + own);
    for (size_t i = 0; i < own; ++i) {
      auto add = [&](const Tensor& t, size_t element) {
        if (t.defined() && (t.is_floating_point() || t.is_complex())) {
          primals.push_back(t.value());
          where.emplace_back(i, element);
        }
      };
      if (const auto* list = args[i].get_if<TensorList>()) {
        for (size_t j = 0; j < list->size(); ++j) {
          add((*list)[j], j);
        }
      } else if (const Tensor* t = args[i].tensor()) {
        add(*t, 0);
      }
    }
    const auto& grads = call.args[own].as<TensorList>();
    std::vector<size_t> used; // results that have a gradient
    for (size_t k = 0; k < grads.size(); ++k) {
      if (grads[k].defined()) {
        used.push_back(k);
      }
    }
    auto run = [&](const std::vector<mx::array>& inputs) {
      Tracing guard;
      std::vector<Value> values = args;
      for (size_t k = 0; k < inputs.size(); ++k) {
        auto [i, element] = where[k];
        if (values[i].is<TensorList>()) {
          values[i].as<TensorList>()[element] = Tensor(inputs[k]);
        } else {
          values[i] = Tensor(inputs[k]);
        }
      }
      Results results = run_kernel(*this, values.data());
      std::vector<mx::array> flat;
      for (const Value& r : results) {
        if (const auto* list = r.get_if<TensorList>()) {
          for (const Tensor& t : *list) {
            // Undefined: the gradient of an integer argument. Keeps its place.
            flat.push_back(t.defined() ? t.value() : mx::array(0.0f));
          }
        } else {
          const Tensor& t = r.as<Tensor>();
          flat.push_back(t.defined() ? t.value() : mx::array(0.0f));
        }
      }
      std::vector<mx::array> outputs;
      for (size_t k : used) {
        outputs.push_back(flat.at(k));
      }
      return outputs;
    };
    std::vector<mx::array> cotangents;
    for (size_t k : used) {
      cotangents.push_back(grads[k].value());
    }
    auto [outputs, vjps] = mx::vjp(run, primals, cotangents);
    TensorList out;
    size_t k = 0;
    for (size_t i = 0; i < own; ++i) {
      auto add = [&](size_t element) {
        bool hit = k < where.size() && where[k] == std::pair(i, element);
        out.push_back(hit ? Tensor(vjps[k++]) : Tensor());
      };
      if (const auto* list = args[i].get_if<TensorList>()) {
        for (size_t j = 0; j < list->size(); ++j) {
          add(j);
        }
      } else if (schema.args[i].type == Type::Tensor) {
        add(0);
      }
    }
    Results results;
    results.push_back(Value(std::move(out)));
    return results;
  };
  op->finish();
  vjp_op_ = std::move(op);
  return *vjp_op_;
}

namespace detail {

const Tensor& undefined_tensor() {
  static const Tensor none;
  return none;
}

void check_arity(const Op& op, size_t parameters, const char* what) {
  FL_CHECK(
      parameters == op.schema.args.size(),
      op.schema.full_name(),
      ": the ",
      what,
      " takes ",
      parameters,
      " parameters, the schema has ",
      op.schema.args.size());
}

namespace {

// Contiguous to the last stride, those of dimensions of size 1 too: these count
// where TensorIterator chooses the strides of a result.
bool lies_plainly(const Geometry& g) {
  int64_t stride = 1;
  for (size_t i = g.sizes.size(); i-- > 0;) {
    if (g.strides[i] != stride || g.sizes[i] == 0) {
      return false;
    }
    stride *= g.sizes[i];
  }
  return true;
}

// Where a result of these sizes lies, and its strides.
std::pair<Device, IntList> place(const Call& call, const IntList& sizes) {
  const Tensor* first = nullptr;
  bool contiguous = true;
  bool either_way = !call.op.elementwise || sizes.size() < 2;
  size_t n = call.op.schema.args.size();
  for (size_t i = 0; i < n; ++i) {
    if (const Tensor* t = call.args[i].tensor()) {
      first = first ? first : t;
      contiguous = contiguous && (either_way || lies_plainly(t->geometry()));
    }
  }
  Device device = first ? first->device() : Device{};
  if (contiguous) [[likely]] {
    return {device, contiguous_strides(sizes)};
  }
  // A number in place of the other tensor counts as one without dimensions.
  static const Geometry point{};
  int other = call.op.schema.index_of("other");
  bool number = other >= 0 && call.args[other].is<Scalar>();
  std::vector<const Geometry*> inputs;
  std::vector<Geometry> converted;
  converted.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    const Tensor* t = call.args[i].tensor();
    if (!t) {
      continue;
    }
    inputs.push_back(&t->geometry());
    // As PyTorch: what is cast (or conjugated, negated) first is a copy, which
    // an expanded tensor's is not laid out as.
    bool cast = call.cast && call.op.promoted[i] && t->dtype() != call.common;
    if (cast || (*t)->conj || (*t)->neg) {
      const Geometry& g = t->geometry();
      converted.push_back({g.sizes, dense_like(g), 0});
      inputs.back() = &converted.back();
    }
  }
  if (number) {
    inputs.push_back(&point);
  }
  return {device, elementwise_strides(sizes, inputs)};
}

} // namespace

Tensor wrap_array(const Call& call, mx::array array) {
  IntList sizes = to_int_list(array.shape());
  auto [device, strides] = place(call, sizes);
  return Tensor(std::move(array), std::move(sizes), std::move(strides), device);
}

Tensor wrap_pairs(const Call& call, mx::array pairs) {
  IntList sizes = to_int_list(pairs.shape());
  sizes.pop_back();
  auto [device, strides] = place(call, sizes);
  return from_pairs(std::move(pairs), std::move(strides), device);
}

} // namespace detail

namespace {

// Numbers among what `op` takes as tensors.
void numbers_to_tensors(const Op& op, int argument, Value& value) {
  auto i = static_cast<size_t>(argument);
  if (argument >= 0 && i < op.schema.args.size() &&
      op.schema.args[i].type == Type::Tensor && value.is<Scalar>()) {
    value = Value(wrapped_number(value.as<Scalar>()));
  }
}

} // namespace

Row&& Row::no_derivative() && {
  Formula none;
  for (size_t i = 0; i < op_->schema.args.size(); ++i) {
    if (op_->schema.args[i].is_tensor() ||
        op_->schema.args[i].type == Type::TensorList) {
      none.inputs.push_back(static_cast<int>(i));
    }
  }
  none.fn = [name = op_->schema.name](const TensorList&, const Value*) {
    fail("derivative for aten::", name, " is not implemented");
    return TensorList();
  };
  op_->formulas.assign({std::move(none)}); // in place of another row's
  op_->node_name = "torch::autograd::NotImplemented";
  return std::move(*this);
}

Row&& Row::numbers_of(std::string_view full_name) && {
  auto it = registry().by_name.find(std::string(full_name));
  FL_CHECK(it != registry().by_name.end(), "no row ", full_name, " yet");
  const Op& other = *it->second;
  const size_t n = other.schema.args.size();
  FL_CHECK(
      n == op_->schema.args.size(),
      op_->schema.full_name(),
      ": not of the arguments of ",
      full_name);
  op_->elementwise = other.elementwise;
  op_->autocast_cpu = other.autocast_cpu;
  op_->autocast_gpu = other.autocast_gpu;
  op_->complex128 = itself();
  op_->forward = [&other, n](const Call& c) {
    std::vector<Value> args(c.args, c.args + n);
    for (size_t i = 0; i < n; ++i) {
      numbers_to_tensors(other, static_cast<int>(i), args[i]);
    }
    return run_kernel(other, args.data());
  };
  op_->derivative =
      other.formulas.empty() ? other.derivative : Derivative::Unstated;
  for (const Formula& of_other : other.formulas) {
    Formula formula;
    std::copy_if(
        of_other.inputs.begin(),
        of_other.inputs.end(),
        std::back_inserter(formula.inputs),
        [&](int i) {
          return op_->schema.args[static_cast<size_t>(i)].type == Type::Tensor;
        });
    if (formula.inputs.empty()) {
      continue;
    }
    FL_CHECK(
        !of_other.fn || formula.inputs.size() == of_other.inputs.size(),
        op_->schema.full_name(),
        ": a formula for numbers among others");
    formula.saved = of_other.saved;
    if (of_other.fn) {
      formula.fn = [&other, fn = of_other.fn, saved = of_other.saved](
                       const TensorList& grads, const Value* given) {
        std::vector<Value> values(given, given + saved.size());
        for (size_t k = 0; k < saved.size(); ++k) {
          numbers_to_tensors(other, saved[k], values[k]);
        }
        return fn(grads, values.data());
      };
    }
    op_->formulas.push_back(std::move(formula));
  }
  return std::move(*this);
}

Row&& Row::forms(std::string_view words) && {
  set_forms(*op_, words);
  return std::move(*this);
}

Row&& Row::promotion(Promotion kind, std::string_view names) && {
  op_->promotion = kind;
  for (size_t i = 0; i < op_->schema.args.size(); ++i) {
    const Argument& a = op_->schema.args[i];
    op_->promoted[i] =
        names.empty() && (a.type == Type::Tensor ||
                          a.type == Type::TensorList || a.type == Type::Scalar);
  }
  for_words(names, [&](std::string_view w) {
    int i = op_->schema.index_of(w);
    FL_CHECK(i >= 0, op_->schema.full_name(), ": no argument ", w);
    op_->promoted[static_cast<size_t>(i)] = true;
  });
  return std::move(*this);
}

void Row::add_formula(
    std::string_view inputs,
    std::string_view saved,
    size_t parameters,
    FormulaFn fn) {
  const Schema& schema = op_->schema;
  Formula formula;
  for_words(inputs, [&](std::string_view w) {
    int i = schema.index_of(w);
    FL_CHECK(i >= 0, schema.full_name(), ": grad of no argument ", w);
    formula.inputs.push_back(i);
  });
  for_words(saved, [&](std::string_view w) {
    constexpr std::string_view kShapeOf = ".shape";
    if (w.ends_with(kShapeOf)) {
      w.remove_suffix(kShapeOf.size());
      int i = schema.index_of(w);
      FL_CHECK(i >= 0, schema.full_name(), ": formula names no ", w);
      formula.saved.push_back(shape_key(i));
      return;
    }
    int i = schema.index_of(w);
    if (i >= 0) {
      formula.saved.push_back(i);
    } else if (w == "needs") {
      formula.saved.push_back(Formula::kNeeds);
    } else if (w == "result" || w == "result0") {
      formula.saved.push_back(~0);
    } else if (w.substr(0, 6) == "result") {
      formula.saved.push_back(~std::stoi(std::string(w.substr(6))));
    } else {
      int found = -1;
      for (size_t k = 0; k < schema.returns.size(); ++k) {
        found = schema.returns[k].name == w ? static_cast<int>(k) : found;
      }
      FL_CHECK(found >= 0, schema.full_name(), ": formula names no ", w);
      formula.saved.push_back(~found);
    }
  });
  FL_CHECK(
      !fn || parameters == formula.saved.size(),
      schema.full_name(),
      ": a formula of ",
      parameters,
      " parameters is given ",
      formula.saved.size());
  formula.fn = std::move(fn);
  op_->formulas.push_back(std::move(formula));
}

Row::~Row() noexcept(false) {
  if (!op_) {
    return;
  }
  const Op& op = add_op(std::move(op_));
  if (op.copy) {
    add_op(copy_row(op));
  }
}

const std::vector<const Op*>& all_ops() {
  return registry().ops;
}

const Op* find_op(std::string_view full_name) {
  register_all_ops();
  auto it = registry().by_name.find(std::string(full_name));
  return it == registry().by_name.end() ? nullptr : it->second;
}

const Op& get_op(std::string_view full_name) {
  const Op* op = find_op(full_name);
  FL_CHECK(op, "no op '", full_name, "'");
  return *op;
}

} // namespace flashlight
