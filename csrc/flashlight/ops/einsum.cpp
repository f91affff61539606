// Contractions and products made of other products.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/einsum.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/norms.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/triangular.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

// --- einsum ------------------------------------------------------------------

constexpr int kEllipsis = 52;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
int label_of(char c) {
  return c <= 'Z' ? c - 'A' : c - 'a' + 26;
}
char letter_of(int label) {
  return static_cast<char>(label < 26 ? 'A' + label : 'a' + label - 26);
}

using Labels = std::vector<int>;

// The subscripts of each operand and, if there is an arrow, of the result.
struct Equation {
  std::vector<Labels> operands{{}};
  std::optional<Labels> result;
};

Equation parse_equation(const std::string& text) {
  Equation out;
  size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow);
  auto read = [&](size_t from, size_t to, auto&& where, auto&& next) {
    bool dots = false;
    for (size_t i = from; i < to; ++i) {
      char c = text[i];
      if (c == ' ') {
        continue;
      }
      if (c == '.') {
        FL_CHECK(
            !dots,
            "einsum(): found '.' for ",
            where(),
            out.result ? " but" : " for which",
            " an ellipsis ",
            out.result ? "(...) " : "",
            "was already found");
        FL_CHECK(
            i + 2 < to && text[i + 1] == '.' && text[i + 2] == '.',
            "einsum(): found '.' for ",
            where(),
            " that is not part of any ellipsis",
            out.result ? " (...)" : "");
        i += 2;
        dots = true;
        next().push_back(kEllipsis);
      } else if (c == ',' && !out.result) {
        out.operands.emplace_back();
        dots = false;
      } else {
        FL_CHECK(
            is_letter(c),
            "einsum(): invalid subscript given at index ",
            i,
            " in the equation string, subscripts must be in [a-zA-Z]");
        next().push_back(label_of(c));
      }
    }
  };
  read(
      0,
      left.size(),
      [&] { return "operand " + std::to_string(out.operands.size() - 1); },
      [&]() -> Labels& { return out.operands.back(); });
  if (arrow != std::string::npos) {
    out.result.emplace();
    read(
        arrow + 2,
        text.size(),
        [] { return std::string("output"); },
        [&]() -> Labels& { return *out.result; });
  }
  return out;
}

// The sum of products of a and b, whose dimensions correspond, over `sums`.
// They become one batched product: shared x left x summed @ summed x right.
Tensor contract(Tensor a, Tensor b, const IntList& sums) {
  int64_t n = a.dim();
  IntList shared, left, right, both;
  IntList sizes_shared, sizes_left, sizes_right;
  int64_t size_both = 1;
  for (int64_t d = 0; d < n; ++d) {
    bool in_a = a.size(d) != 1, in_b = b.size(d) != 1;
    if (std::find(sums.begin(), sums.end(), d) != sums.end()) {
      if (in_a && in_b) {
        FL_CHECK(a.size(d) == b.size(d), "non-broadcast dimensions must match");
        both.push_back(d);
        size_both *= a.size(d);
      } else if (in_a) {
        a = sum(a, IntList{d}, true);
      } else if (in_b) {
        b = sum(b, IntList{d}, true);
      }
    } else if (in_a && in_b) {
      FL_CHECK(a.size(d) == b.size(d), "non-broadcast dimensions must match");
      shared.push_back(d);
      sizes_shared.push_back(a.size(d));
    } else if (in_a) {
      left.push_back(d);
      sizes_left.push_back(a.size(d));
    } else {
      right.push_back(d);
      sizes_right.push_back(b.size(d));
    }
  }
  // Summed dimensions that neither has are of size one: anywhere.
  IntList rest;
  for (int64_t d : sums) {
    if (std::find(both.begin(), both.end(), d) == both.end()) {
      rest.push_back(d);
    }
  }
  auto order = [](std::initializer_list<const IntList*> lists) {
    IntList all;
    for (const IntList* list : lists) {
      for (int64_t d : *list) {
        all.push_back(d);
      }
    }
    return all;
  };
  int64_t batch = product(sizes_shared);
  Tensor x = reshape(
      permute(a, order({&shared, &left, &both, &right, &rest})),
      {batch, product(sizes_left), size_both});
  Tensor y = reshape(
      permute(b, order({&shared, &both, &right, &left, &rest})),
      {batch, size_both, product(sizes_right)});
  Tensor z = bmm(x, y);
  IntList sizes = order({&sizes_shared, &sizes_left, &sizes_right});
  for (int64_t d = static_cast<int64_t>(both.size() + rest.size()); d > 0;
       --d) {
    sizes.push_back(1);
  }
  IntList from = order({&shared, &left, &right, &both, &rest});
  IntList back(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    back[static_cast<size_t>(from[i])] = static_cast<int64_t>(i);
  }
  return permute(view(z, sizes), back);
}

// The dimensions of a tensor at which one label stands, as one.
Tensor diagonal_of(const Tensor& x, int64_t first, int64_t second) {
  IntList sizes = x.sizes(), strides = x.strides();
  auto i = static_cast<size_t>(first), j = static_cast<size_t>(second);
  strides[i] += strides[j];
  sizes.erase(sizes.begin() + second);
  strides.erase(strides.begin() + second);
  return as_strided(x, sizes, strides, x.storage_offset());
}

Tensor einsum_kernel(
    const std::string& text,
    const TensorList& operands,
    const std::optional<IntList>& path) {
  FL_CHECK(!operands.empty(), "einsum(): must provide at least one operand");
  Equation eq = parse_equation(text);
  FL_CHECK(
      operands.size() >= eq.operands.size(),
      "einsum(): fewer operands were provided than specified in the equation");
  FL_CHECK(
      operands.size() <= eq.operands.size(),
      "einsum(): more operands were provided than specified in the equation");
  int64_t dots = 0; // dimensions that an ellipsis stands for, at most
  std::array<int, kEllipsis> count{};
  for (size_t k = 0; k < operands.size(); ++k) {
    const Labels& labels = eq.operands[k];
    auto named = static_cast<int64_t>(labels.size());
    bool open =
        std::find(labels.begin(), labels.end(), kEllipsis) != labels.end();
    named -= open;
    int64_t n = operands[k].dim();
    FL_CHECK(
        open ? named <= n : named == n,
        "einsum(): the number of subscripts in the equation (",
        named,
        open ? ") is more than the number of dimensions ("
             : ") does not match the number of dimensions (",
        n,
        ") for operand ",
        k,
        open ? "" : " and no ellipsis was given");
    if (open) {
      dots = std::max(dots, n - named);
    }
    for (int label : labels) {
      if (label != kEllipsis) {
        count[static_cast<size_t>(label)]++;
      }
    }
  }
  // Where each label's dimension is: those of the result come first.
  std::array<int64_t, kEllipsis> place;
  place.fill(-1);
  int64_t at = 0, dots_at = 0;
  if (!eq.result) {
    at = dots; // the ellipsis first, then labels seen once, in order
    for (size_t label = 0; label < count.size(); ++label) {
      if (count[label] == 1) {
        place[label] = at++;
      }
    }
  } else {
    bool placed = false;
    for (int label : *eq.result) {
      if (label == kEllipsis) {
        dots_at = at;
        at += dots;
        placed = true;
        continue;
      }
      auto i = static_cast<size_t>(label);
      FL_CHECK(
          place[i] == -1,
          "einsum(): output subscript ",
          letter_of(label),
          " appears more than once in the output");
      FL_CHECK(
          count[i] > 0,
          "einsum(): output subscript ",
          letter_of(label),
          " does not appear in the equation for any input operand");
      place[i] = at++;
    }
    if (!placed) {
      dots_at = -1; // summed over; placed below
    }
  }
  int64_t out_dims = at;
  if (dots_at < 0) {
    dots_at = at;
    at += dots;
  }
  for (size_t label = 0; label < count.size(); ++label) {
    if (count[label] > 0 && place[label] == -1) {
      place[label] = at++;
    }
  }
  int64_t n = at;
  // Each operand with all dimensions, in those places.
  std::vector<Tensor> ready;
  IntList seen(static_cast<size_t>(n), 1);
  std::vector<int64_t> last(static_cast<size_t>(n), -1);
  for (size_t k = 0; k < operands.size(); ++k) {
    Tensor x = operands[k];
    IntList where; // of each dimension of x
    int64_t d = 0;
    int64_t own = x.dim() - static_cast<int64_t>(eq.operands[k].size()) + 1;
    for (int label : eq.operands[k]) {
      if (label == kEllipsis) {
        for (int64_t j = dots - own; j < dots; ++j, ++d) {
          where.push_back(dots_at + j);
          auto p = static_cast<size_t>(where.back());
          FL_CHECK(
              x.size(d) == 1 || seen[p] == 1 || seen[p] == x.size(d),
              "einsum(): dimension ",
              j,
              " covered by ellipsis in operand ",
              k,
              "has size ",
              x.size(d),
              " which does not broadcast with previously seen ellipsis with "
              "size ",
              seen[p],
              " for the respective dimension");
          seen[p] = x.size(d) == 1 ? seen[p] : x.size(d);
        }
        continue;
      }
      int64_t p = place[static_cast<size_t>(label)];
      auto before = std::find(where.begin(), where.end(), p);
      if (before != where.end()) {
        int64_t first = before - where.begin();
        FL_CHECK(
            x.size(first) == x.size(d),
            "einsum(): subscript ",
            letter_of(label),
            " is repeated for operand ",
            k,
            " but the sizes don't match, ",
            x.size(d),
            " != ",
            x.size(first));
        x = diagonal_of(x, first, d);
        continue; // the dimension is gone
      }
      auto& size = seen[static_cast<size_t>(p)];
      FL_CHECK(
          x.size(d) == 1 || size == 1 || size == x.size(d),
          "einsum(): subscript ",
          letter_of(label),
          " has size ",
          x.size(d),
          " for operand ",
          k,
          " which does not broadcast with previously seen size ",
          size);
      size = x.size(d) == 1 ? size : x.size(d);
      where.push_back(p);
      ++d;
    }
    IntList order(where.size());
    for (size_t i = 0; i < order.size(); ++i) {
      order[i] = static_cast<int64_t>(i);
    }
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return where[static_cast<size_t>(a)] < where[static_cast<size_t>(b)];
    });
    if (!std::is_sorted(order.begin(), order.end())) {
      x = permute(x, order);
    }
    for (int64_t p = 0; p < n; ++p) {
      if (std::find(where.begin(), where.end(), p) == where.end()) {
        x = unsqueeze(x, p);
      } else if (x.size(p) != 1) {
        last[static_cast<size_t>(p)] = static_cast<int64_t>(k);
      }
    }
    ready.push_back(x);
  }
  // Left to right, or in the order of a path; a dimension is summed as soon as
  // no other operand has it.
  auto step = [&](size_t i, size_t j) {
    Tensor a = ready[i];
    Tensor b = ready[j];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(std::max(i, j)));
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(std::min(i, j)));
    IntList sums;
    for (int64_t p = out_dims; p < n; ++p) {
      bool used = a.size(p) != 1 || b.size(p) != 1;
      for (const Tensor& other : ready) {
        used = used && other.size(p) == 1;
      }
      if (used) {
        sums.push_back(p);
      }
    }
    return sums.empty() ? mul(a, b) : contract(a, b, sums);
  };
  if (ready.size() > 1) {
    for (size_t k = 1; k < ready.size(); ++k) {
      FL_CHECK(
          ready[k].dtype() == ready[0].dtype(),
          "expected scalar type ",
          scalar_name(ready[0].dtype()),
          " but found ",
          scalar_name(ready[k].dtype()));
    }
  }
  size_t next = 0;
  if (path) {
    FL_CHECK(
        path->size() == 2 * (operands.size() - 1),
        "einsum(): expected contraction path given in path parameter to "
        "contain two numbers for each contraction");
  }
  while (ready.size() > 1) {
    size_t i = 0, j = 1;
    if (path) {
      i = static_cast<size_t>((*path)[next++]);
      j = static_cast<size_t>((*path)[next++]);
      FL_CHECK(
          i != j && i < ready.size() && j < ready.size(),
          "einsum(): invalid contraction path");
      ready.push_back(step(i, j));
    } else {
      ready.insert(ready.begin(), step(i, j));
    }
  }
  Tensor x = ready[0];
  IntList sums;
  for (int64_t p = out_dims; p < n; ++p) {
    if (x.size(p) != 1) {
      sums.push_back(p);
    }
  }
  if (!sums.empty()) {
    x = sum(x, sums, true);
  }
  for (int64_t p = n; p-- > out_dims;) {
    x = squeeze(x, p);
  }
  return x;
}

// --- tensordot, kron, products of many ---------------------------------------

Tensor tensordot_kernel(
    const Tensor& a,
    const Tensor& b,
    const IntList& dims_a,
    const IntList& dims_b) {
  FL_CHECK(
      dims_a.size() == dims_b.size(),
      "both dimension lists should have same length");
  FL_CHECK(a.dtype() == b.dtype(), "both inputs should have same dtype");
  Tensor x = a, y = b;
  int64_t inner = 1;
  for (size_t i = 0; i < dims_a.size(); ++i) {
    int64_t n = a.size(dims_a[i]), m = b.size(dims_b[i]);
    if (m == 1) {
      x = sum(x, IntList{dims_a[i]}, true, x.dtype());
    } else if (n == 1) {
      y = sum(y, IntList{dims_b[i]}, true, y.dtype());
    } else {
      FL_CHECK(
          n == m,
          "contracted dimensions need to match, but first has size ",
          n,
          " in dim ",
          dims_a[i],
          " and second has size ",
          m,
          " in dim ",
          dims_b[i]);
      inner *= n;
    }
  }
  IntList gone_a = dims_a.empty() ? IntList() : wrap_dims(dims_a, a.dim());
  IntList gone_b = dims_b.empty() ? IntList() : wrap_dims(dims_b, b.dim());
  auto kept = [](const Tensor& t, const IntList& gone, IntList& sizes) {
    IntList order;
    for (int64_t d = 0; d < t.dim(); ++d) {
      if (std::find(gone.begin(), gone.end(), d) == gone.end()) {
        order.push_back(d);
        sizes.push_back(t.size(d));
      }
    }
    return order;
  };
  IntList sizes;
  IntList left = kept(x, gone_a, sizes);
  int64_t rows = product(sizes);
  IntList right_sizes;
  IntList right = kept(y, gone_b, right_sizes);
  int64_t cols = product(right_sizes);
  for (int64_t d : gone_a) {
    left.push_back(d);
  }
  IntList order_b = gone_b;
  for (int64_t d : right) {
    order_b.push_back(d);
  }
  for (int64_t d : right_sizes) {
    sizes.push_back(d);
  }
  if (rows == 1 && cols == 1) { // as PyTorch, which matters to autocast
    x = permute(x, left);
    y = permute(y, order_b);
    bool plain = x.is_contiguous() && y.is_contiguous();
    x = reshape(x, {inner});
    y = reshape(y, {inner});
    Tensor out = plain ? dot(x, y) : sum(x * y, IntList{0}, false, x.dtype());
    return reshape(out, sizes);
  }
  return reshape(
      mm(reshape(permute(x, left), {rows, inner}),
         reshape(permute(y, order_b), {inner, cols})),
      sizes);
}

Tensor kron_kernel(const Tensor& self, const Tensor& other) {
  int64_t n = std::max(self.dim(), other.dim());
  IntList a(static_cast<size_t>(2 * n), 1), b = a;
  IntList sizes(static_cast<size_t>(n), 1);
  for (int64_t d = 0; d < n; ++d) {
    auto at = static_cast<size_t>(d);
    int64_t da = d - n + self.dim(), db = d - n + other.dim();
    a[2 * at] = da < 0 ? 1 : self.size(da);
    b[2 * at + 1] = db < 0 ? 1 : other.size(db);
    sizes[at] = a[2 * at] * b[2 * at + 1];
  }
  return reshape(reshape(self, a) * reshape(other, b), sizes);
}

// The product of matrices i to j in the order that costs least.
struct Chain {
  const TensorList& matrices;
  std::vector<std::vector<size_t>> split;

  explicit Chain(const TensorList& all) : matrices(all) {
    size_t n = all.size();
    std::vector<std::vector<double>> cost(n, std::vector<double>(n, 0));
    split.assign(n, std::vector<size_t>(n, 0));
    auto rows = [&](size_t i) {
      return static_cast<double>(all[i].sizes()[0]);
    };
    auto cols = [&](size_t i) {
      return static_cast<double>(all[i].sizes()[1]);
    };
    for (size_t span = 1; span < n; ++span) {
      for (size_t i = 0; i + span < n; ++i) {
        size_t j = i + span;
        cost[i][j] = std::numeric_limits<double>::infinity();
        for (size_t k = i; k < j; ++k) {
          double c = cost[i][k] + cost[k + 1][j] + rows(i) * cols(k) * cols(j);
          if (c < cost[i][j]) {
            cost[i][j] = c;
            split[i][j] = k;
          }
        }
      }
    }
  }
  Tensor of(size_t i, size_t j) const {
    return i == j ? matrices[i]
                  : mm(of(i, split[i][j]), of(split[i][j] + 1, j));
  }
};

Tensor multi_dot(const TensorList& given) {
  constexpr std::string_view name = "multi_dot()";
  size_t n = given.size();
  FL_CHECK(n >= 2, name, ": expected at least 2 tensors but got ", n);
  TensorList all = given;
  auto check_end = [&](size_t i, const char* which) {
    FL_CHECK(
        given[i].dim() == 1 || given[i].dim() == 2,
        name,
        ": the ",
        which,
        " tensor must be 1D or 2D but got ",
        given[i].dim(),
        "D");
  };
  check_end(0, "first");
  check_end(n - 1, "last");
  if (given[0].dim() == 1) {
    all[0] = unsqueeze(given[0], 0);
  }
  if (given[n - 1].dim() == 1) {
    all[n - 1] = unsqueeze(given[n - 1], 1);
  }
  for (size_t i = 0; i < n; ++i) {
    FL_CHECK(
        all[i].dim() == 2,
        name,
        ": tensor ",
        i,
        " must be 2D but got ",
        all[i].dim(),
        "D");
    FL_CHECK(
        all[i].dtype() == all[0].dtype(),
        name,
        ": all tensors must have be the same dtype but tensor 0 is ",
        c_name(all[0].dtype()),
        " and tensor ",
        i,
        " ",
        c_name(all[i].dtype()));
    FL_CHECK(
        i == 0 || all[i - 1].sizes()[1] == all[i].sizes()[0],
        name,
        ": tensors ",
        i - 1,
        " and ",
        i,
        " with shapes ",
        given[i - (i > 0)].sizes(),
        " and ",
        given[i].sizes(),
        " cannot be multiplied");
  }
  Tensor x = Chain(all).of(0, n - 1);
  IntList sizes;
  if (given[0].dim() == 2) {
    sizes.push_back(x.sizes()[0]);
  }
  if (given[n - 1].dim() == 2) {
    sizes.push_back(x.sizes()[1]);
  }
  return view(x, sizes);
}

Tensor outer_product(const Tensor& self, const Tensor& vec2) {
  for (auto [x, what] : {std::pair(&self, "self"), {&vec2, "vec2"}}) {
    FL_CHECK(
        x->dim() == 1,
        "outer: Expected 1-D argument ",
        what,
        ", but got ",
        x->dim(),
        "-D");
  }
  return unsqueeze(self, 1) * vec2;
}

mx::array cross_kernel(const mx::array& a, const mx::array& b, int64_t dim) {
  for (const mx::array* x : {&a, &b}) {
    if (x->dtype() == mx::bool_) {
      not_implemented("cross", Dtype::Bool);
    }
  }
  FL_CHECK(
      a.dtype() == b.dtype(),
      "expected scalar type ",
      scalar_name(from_mlx(a.dtype())),
      " but found ",
      scalar_name(from_mlx(b.dtype())));
  FL_CHECK(
      a.ndim() == b.ndim(),
      "linalg.cross: inputs must have the same number of dimensions.");
  int axis = axis_of(dim, a);
  FL_CHECK(
      a.shape(axis) == 3 && b.shape(axis) == 3,
      "linalg.cross: inputs dimension ",
      dim,
      " must have length 3. Got ",
      a.shape(axis),
      " and ",
      b.shape(axis));
  (void)broadcast_sizes(to_int_list(a.shape()), to_int_list(b.shape()));
  auto rolled = [axis](const mx::array& x, std::initializer_list<int> order) {
    return mx::take(x, mx::array(order, {3}), axis);
  };
  return mx::subtract(
      mx::multiply(rolled(a, {1, 2, 0}), rolled(b, {2, 0, 1})),
      mx::multiply(rolled(a, {2, 0, 1}), rolled(b, {1, 2, 0})));
}

Tensor power_of(const Tensor& self, int64_t n) {
  FL_CHECK(
      self.dim() >= 2,
      "linalg.matrix_power: The input tensor A must have at least 2 "
      "dimensions.");
  FL_CHECK(
      self.size(-1) == self.size(-2),
      "linalg.matrix_power: A must be batches of square matrices, but they "
      "are ",
      self.size(-2),
      " by ",
      self.size(-1),
      " matrices");
  if (n == 0) {
    Tensor one = eye(self.size(-1), self.dtype(), {}, self.device());
    return _tied(clone(expand(one, self.sizes())), self);
  }
  Tensor base = n < 0 ? linalg_inv(self) : self, out;
  for (int64_t k = std::abs(n); k > 0; k /= 2) {
    if (k % 2) {
      out = out.defined() ? matmul(out, base) : base;
    }
    if (k > 1) {
      base = matmul(base, base);
    }
  }
  return out.is_same(self) ? clone(out) : out;
}

} // namespace

void register_einsum() {
  op("einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor")
      .forms("function")
      .composite(einsum_kernel)
      .doc("Sums of products, by an equation of subscripts.");
  op("tensordot(Tensor self, Tensor other, int[] dims_self, int[] "
     "dims_other) -> Tensor")
      .forms("function out")
      .exact_out(
          "tensordot: Expected the output tensor to have dtype %R, but got an "
          "output tensor with dtype %O")
      .composite(tensordot_kernel)
      .doc("The contraction of two tensors over dimensions.");
  op("outer(Tensor self, Tensor vec2) -> Tensor")
      .forms("function method out")
      .apart_from_out()
      .composite(outer_product)
      .doc("The outer product of two vectors.");
  op("ger(Tensor self, Tensor vec2) -> Tensor")
      .forms("function method out")
      .apart_from_out()
      .composite(outer_product)
      .doc("The outer product of two vectors.");
  op("inner(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .exact_out(
          "tensordot: Expected the output tensor to have dtype %R, but got an "
          "output tensor with dtype %O")
      .composite([](const Tensor& self, const Tensor& other) {
        if (self.dim() == 0 || other.dim() == 0) {
          return self * other;
        }
        FL_CHECK(
            self.size(-1) == other.size(-1),
            "inner() the last dimension must match on both input tensors but "
            "got shapes ",
            self.sizes(),
            " and ",
            other.sizes());
        return tensordot(self, other, {-1}, {-1});
      })
      .doc("The dot products over the last dimensions.");
  op("chain_matmul(Tensor[] matrices) -> Tensor")
      .forms("function out")
      .exact_out("multi_dot(): expected out tensor to have dtype %r but got %o")
      .autocast(Autocast::Lower)
      .composite([](const TensorList& matrices) {
        FL_CHECK(
            !matrices.empty(), "chain_matmul(): Expected one or more matrices");
        for (const Tensor& m : matrices) {
          FL_CHECK(
              m.dim() == 2,
              "Tensor dimension is ",
              m.dim(),
              ", expected 2 instead.");
        }
        return matrices.size() == 1 ? matrices[0] : multi_dot(matrices);
      })
      .doc("The product of matrices in the order that costs least.");
  op("linalg_multi_dot(Tensor[] tensors) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("multi_dot(): expected out tensor to have dtype %r but got %o")
      .autocast(Autocast::Lower)
      .composite(multi_dot)
      .doc("The product of matrices in the order that costs least.");
  op("kron(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .apart_from_out()
      .composite(kron_kernel)
      .doc("The Kronecker product.");
  op("cross(Tensor self, Tensor other, int? dim=None) -> Tensor")
      .forms("function method out")
      .exact_out()
      .apart_from_out()
      .composite([](const Tensor& self,
                    const Tensor& other,
                    std::optional<int64_t> dim) {
        int64_t at = dim.value_or(-1);
        for (int64_t d = 0; !dim && d <= self.dim(); ++d) {
          FL_CHECK(d < self.dim(), "no dimension of size 3 in input");
          if (self.size(d) == 3) {
            at = d;
            break;
          }
        }
        return linalg_cross(self, other, at);
      })
      .doc("The cross product of vectors of three elements.");
  op("linalg_cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .apart_from_out()
      .kernel(cross_kernel)
      .complex128(products())
      .grad(
          "self",
          "other dim",
          [](const Tensor& grad, const Tensor& other, int64_t dim) {
            return linalg_cross(conj(other), grad, dim);
          })
      .grad(
          "other",
          "self dim",
          [](const Tensor& grad, const Tensor& self, int64_t dim) {
            return linalg_cross(grad, conj(self), dim);
          })
      .doc("The cross product of vectors of three elements.");
  op("trace(Tensor self) -> Tensor")
      .autocast(Autocast::Float32, Autocast::None)
      .forms("function method")
      .kernel([](const mx::array& self) {
        FL_CHECK(
            self.ndim() == 2,
            "trace: expected a matrix, but got tensor with dim ",
            self.ndim());
        Dtype d = from_mlx(self.dtype());
        mx::array x = is_integral(d, true) ? mx::astype(self, mx::int64) : self;
        return mx::astype(mx::sum(widened(mx::diagonal(x))), x.dtype());
      })
      .complex128(parts())
      .grad(
          "self",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            Tensor one =
                eye(self.sizes()[0],
                    self.sizes()[1],
                    self.dtype(),
                    {},
                    self.device());
            return grad * one;
          })
      .doc("The sum of the diagonal.");
  op("linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("linalg.vecdot: Expected out of dtype%R but found %O")
      .autocast(Autocast::Lower)
      .composite([](const Tensor& x, const Tensor& y, int64_t dim) {
        FL_CHECK(
            x.dtype() == y.dtype(),
            "linalg.vecdot: Expected x and y to have the same dtype, but found "
            "x of type ",
            scalar_name(x.dtype()),
            " and y of type ",
            scalar_name(y.dtype()),
            " instead");
        if (x.dim() == 1 && y.dim() == 1) {
          return vdot(x, y);
        }
        return sum(conj(x) * y, IntList{dim}, false, x.dtype());
      })
      .doc("The dot products of vectors along a dimension.");
  op("matrix_power(Tensor self, int n) -> Tensor")
      .forms("function method out")
      .exact_out("%cmatrix_power")
      .composite(power_of)
      .doc("The n-th power of square matrices.");
  op("linalg_matrix_power(Tensor self, int n) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%cmatrix_power")
      .composite(power_of)
      .doc("The n-th power of square matrices.");
}

} // namespace flashlight
