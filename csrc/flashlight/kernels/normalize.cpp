#include "flashlight/kernels/normalize.h"

#include <algorithm>
#include <cmath>

namespace flashlight {

namespace {

using Doubles = std::vector<double>;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// The sum of term(i): in lanes that the compiler puts in registers, for short
// blocks only, so that it is as exact as a sum in double precision.
template <typename T, typename F>
double total(int64_t n, F term) {
  constexpr int64_t lanes = 16, block = 16 * lanes;
  double sum = 0;
  for (int64_t start = 0; start < n; start += block) {
    T part[lanes] = {};
    int64_t end = std::min(n, start + block), i = start;
    for (; i + lanes <= end; i += lanes) {
      for (int64_t k = 0; k < lanes; ++k) {
        part[k] += term(i + k);
      }
    }
    for (; i < end; ++i) {
      part[0] += term(i);
    }
    for (T p : part) {
      sum += static_cast<double>(p);
    }
  }
  return sum;
}

template <typename T>
const T* data(const mx::array& a) {
  return a.data<T>();
}

// Weight (or bias) of every channel, also where there is none.
template <typename T>
class PerChannel {
 public:
  PerChannel(const mx::array* given, int64_t n, T otherwise) {
    if (!given) {
      own_.assign(at(n), otherwise);
    }
    values_ = given ? data<T>(*given) : own_.data();
  }
  const T* operator+(int64_t i) const {
    return values_ + i;
  }
  T operator[](int64_t i) const {
    return values_[i];
  }

 private:
  std::vector<T> own_;
  const T* values_;
};

// Optional arrays among the inputs of a loop.
struct Inputs {
  std::vector<mx::array> list;

  int add(const MaybeArray& a) {
    if (!a) {
      return -1;
    }
    list.push_back(*a);
    return static_cast<int>(list.size()) - 1;
  }
};
const mx::array* pick(const std::vector<mx::array>& in, int i) {
  return i < 0 ? nullptr : &in[at(i)];
}

// Calls f(offset, statistic, channel) for each run of `inner` values.
template <typename F>
void each_run(const NormShape& s, F f) {
  int64_t offset = 0;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t g = 0; g < s.groups; ++g) {
      int64_t stat = s.pooled ? g : b * s.groups + g;
      for (int64_t k = 0; k < s.channels; ++k, offset += s.inner) {
        f(offset, stat, g * s.channels + k);
      }
    }
  }
}

// Rows whose values have a channel each, and a statistic of their own.
bool by_rows(const NormShape& s) {
  return s.inner == 1 && !s.pooled;
}

template <typename T>
void apply_row(
    const T* x,
    const T* w,
    const T* b,
    T mean,
    T rstd,
    int64_t n,
    T* out) {
  for (int64_t i = 0; i < n; ++i) {
    out[i] = (x[i] - mean) * rstd * w[i] + b[i];
  }
}

template <typename T>
void apply_runs(
    const T* x,
    const PerChannel<T>& w,
    const PerChannel<T>& b,
    const T* mean,
    const T* rstd,
    const NormShape& s,
    T* out) {
  each_run(s, [&](int64_t offset, int64_t stat, int64_t channel) {
    T m = mean[stat], scale = rstd[stat] * w[channel], shift = b[channel];
    const T* from = x + offset;
    T* to = out + offset;
    for (int64_t i = 0; i < s.inner; ++i) {
      to[i] = (from[i] - m) * scale + shift;
    }
  });
}

// Means and mean squares of deviations.
template <typename T>
void statistics(const T* x, const NormShape& s, Doubles& mean, Doubles& var) {
  auto n = static_cast<double>(s.count());
  if (by_rows(s)) {
    for (int64_t r = 0; r < s.statistics(); ++r) {
      const T* row = x + r * s.channels;
      double m = 0;
      if (s.centered) {
        m = total<T>(s.channels, [=](int64_t i) { return row[i]; }) / n;
      }
      T shift = static_cast<T>(m);
      mean[at(r)] = m;
      var[at(r)] = total<T>(
                       s.channels,
                       [=](int64_t i) {
                         T d = row[i] - shift;
                         return d * d;
                       }) /
                   n;
    }
    return;
  }
  if (s.centered) {
    each_run(s, [&](int64_t offset, int64_t stat, int64_t) {
      const T* run = x + offset;
      mean[at(stat)] += total<T>(s.inner, [=](int64_t i) { return run[i]; });
    });
    for (double& m : mean) {
      m /= n;
    }
  }
  each_run(s, [&](int64_t offset, int64_t stat, int64_t) {
    const T* run = x + offset;
    T shift = static_cast<T>(mean[at(stat)]);
    var[at(stat)] += total<T>(s.inner, [=](int64_t i) {
      T d = run[i] - shift;
      return d * d;
    });
  });
  for (double& v : var) {
    v /= n;
  }
}

template <typename T>
struct Forward {
  NormShape shape;
  double eps;
  int weight, bias, running;
  double momentum;

  void operator()(const std::vector<mx::array>& in, std::vector<mx::array>& out)
      const {
    int64_t n = shape.statistics();
    const T* x = data<T>(in[0]);
    Doubles mean(at(n), 0.0), var(at(n), 0.0);
    statistics(x, shape, mean, var);
    T* to = out[0].data<T>();
    T *means = out[1].data<T>(), *rstds = out[2].data<T>();
    for (int64_t i = 0; i < n; ++i) {
      means[i] = static_cast<T>(mean[at(i)]);
      rstds[i] = static_cast<T>(1.0 / std::sqrt(var[at(i)] + eps));
    }
    PerChannel<T> w(pick(in, weight), shape.weights(), T(1));
    PerChannel<T> b(pick(in, bias), shape.weights(), T(0));
    if (by_rows(shape)) {
      for (int64_t r = 0; r < n; ++r) {
        int64_t first = r % shape.groups * shape.channels;
        apply_row(
            x + r * shape.channels,
            w + first,
            b + first,
            means[r],
            rstds[r],
            shape.channels,
            to + r * shape.channels);
      }
    } else {
      apply_runs(x, w, b, means, rstds, shape, to);
    }
    if (running >= 0) {
      const T *old_mean = data<T>(in[at(running)]),
              *old_var = data<T>(in[at(running) + 1]);
      T *new_mean = out[3].data<T>(), *new_var = out[4].data<T>();
      auto count = static_cast<double>(shape.count());
      for (int64_t i = 0; i < n; ++i) {
        double unbiased = var[at(i)] * count / (count - 1);
        new_mean[i] = static_cast<T>(
            momentum * mean[at(i)] +
            (1 - momentum) * static_cast<double>(old_mean[i]));
        new_var[i] = static_cast<T>(
            momentum * unbiased +
            (1 - momentum) * static_cast<double>(old_var[i]));
      }
    }
  }
};

template <typename T>
struct By {
  NormShape shape;
  int weight, bias;

  void operator()(const std::vector<mx::array>& in, std::vector<mx::array>& out)
      const {
    PerChannel<T> w(pick(in, weight), shape.weights(), T(1));
    PerChannel<T> b(pick(in, bias), shape.weights(), T(0));
    apply_runs(
        data<T>(in[0]),
        w,
        b,
        data<T>(in[1]),
        data<T>(in[2]),
        shape,
        out[0].data<T>());
  }
};

// Sums that grow row by row, kept in T for a few rows only.
template <typename T>
class ColumnSums {
 public:
  explicit ColumnSums(int64_t n) : part(at(n), T(0)), sums_(at(n), 0.0) {}

  void next_row() {
    if (++rows_ == 64) {
      flush();
    }
  }
  void write(T* to) {
    flush();
    for (size_t i = 0; i < sums_.size(); ++i) {
      to[i] = static_cast<T>(sums_[i]);
    }
  }

  std::vector<T> part;

 private:
  void flush() {
    for (size_t i = 0; i < sums_.size(); ++i) {
      sums_[i] += static_cast<double>(part[i]);
      part[i] = T(0);
    }
    rows_ = 0;
  }

  Doubles sums_;
  int rows_ = 0;
};

template <typename T>
struct Backward {
  NormShape shape;
  bool fixed;
  int weight;

  void operator()(const std::vector<mx::array>& in, std::vector<mx::array>& out)
      const {
    PerChannel<T> w(pick(in, weight), shape.weights(), T(1));
    if (by_rows(shape)) {
      rows(in, w, out);
    } else {
      runs(in, w, out);
    }
  }

  void rows(
      const std::vector<mx::array>& in,
      const PerChannel<T>& weights,
      std::vector<mx::array>& out) const {
    int64_t n = shape.channels;
    ColumnSums<T> dw(shape.weights()), db(shape.weights());
    for (int64_t r = 0; r < shape.statistics(); ++r) {
      int64_t first = r % shape.groups * n;
      const T *dy = data<T>(in[0]) + r * n, *x = data<T>(in[1]) + r * n;
      T mean = data<T>(in[2])[r], rstd = data<T>(in[3])[r];
      const T* w = weights + first;
      T *sum_w = dw.part.data() + first, *sum_b = db.part.data() + first;
      for (int64_t i = 0; i < n; ++i) {
        sum_w[i] += dy[i] * ((x[i] - mean) * rstd);
        sum_b[i] += dy[i];
      }
      double plain = 0;
      if (shape.centered) {
        plain = total<T>(n, [=](int64_t i) { return dy[i] * w[i]; });
      }
      double scaled = total<T>(
          n, [=](int64_t i) { return dy[i] * w[i] * ((x[i] - mean) * rstd); });
      auto count = static_cast<double>(n);
      T a = static_cast<T>(plain / count), b = static_cast<T>(scaled / count);
      T* dx = out[0].data<T>() + r * n;
      for (int64_t i = 0; i < n; ++i) {
        dx[i] = (dy[i] * w[i] - a - (x[i] - mean) * rstd * b) * rstd;
      }
      if (shape.groups == 1 || first + n == shape.weights()) {
        dw.next_row();
        db.next_row();
      }
    }
    dw.write(out[1].data<T>());
    db.write(out[2].data<T>());
  }

  void runs(
      const std::vector<mx::array>& in,
      const PerChannel<T>& weights,
      std::vector<mx::array>& out) const {
    const T *dy = data<T>(in[0]), *x = data<T>(in[1]);
    const T *mean = data<T>(in[2]), *rstd = data<T>(in[3]);
    Doubles dw(at(shape.weights()), 0.0), db = dw;
    Doubles plain(at(shape.statistics()), 0.0), scaled = plain;
    each_run(shape, [&](int64_t offset, int64_t stat, int64_t channel) {
      const T *g = dy + offset, *v = x + offset;
      T m = mean[stat];
      double b = total<T>(shape.inner, [=](int64_t i) { return g[i]; });
      double s =
          total<T>(shape.inner, [=](int64_t i) { return g[i] * (v[i] - m); }) *
          static_cast<double>(rstd[stat]);
      auto scale = static_cast<double>(weights[channel]);
      db[at(channel)] += b;
      dw[at(channel)] += s;
      plain[at(stat)] += b * scale;
      scaled[at(stat)] += s * scale;
    });
    auto count = static_cast<double>(shape.count());
    T* dx = out[0].data<T>();
    each_run(shape, [&](int64_t offset, int64_t stat, int64_t channel) {
      const T *g = dy + offset, *v = x + offset;
      T m = mean[stat], r = rstd[stat], scale = r * weights[channel];
      T* to = dx + offset;
      if (fixed) {
        for (int64_t i = 0; i < shape.inner; ++i) {
          to[i] = g[i] * scale;
        }
        return;
      }
      T a = shape.centered ? static_cast<T>(plain[at(stat)] / count) * r : T(0);
      T b = static_cast<T>(scaled[at(stat)] / count) * r * r;
      for (int64_t i = 0; i < shape.inner; ++i) {
        to[i] = g[i] * scale - a - (v[i] - m) * b;
      }
    });
    T *weight_grad = out[1].data<T>(), *bias_grad = out[2].data<T>();
    for (int64_t i = 0; i < shape.weights(); ++i) {
      weight_grad[i] = static_cast<T>(dw[at(i)]);
      bias_grad[i] = static_cast<T>(db[at(i)]);
    }
  }
};

// Records Loop<float> or Loop<double>, as the arrays are.
template <template <typename> typename Loop, typename... A>
std::vector<mx::array> record(
    const char* name,
    const std::vector<mx::array>& in,
    const std::vector<HostResult>& results,
    A... a) {
  if (in[0].dtype() == mx::float64) {
    return host_op(name, in, results, Loop<double>{a...});
  }
  return host_op(name, in, results, Loop<float>{a...});
}

bool traced(const mx::array& x, const MaybeArray& w, const MaybeArray& b) {
  return x.is_tracer() || (w && w->is_tracer()) || (b && b->is_tracer());
}

mx::Shape flat(int64_t n) {
  return {static_cast<int>(n)};
}

// MLX's ops on [batch, groups, channels, inner].
struct Plain {
  NormShape s;

  mx::array values(const mx::array& x) const {
    auto n = [](int64_t i) { return static_cast<int>(i); };
    return mx::reshape(x, {n(s.batch), n(s.groups), n(s.channels), n(s.inner)});
  }
  mx::array stat(const mx::array& x) const {
    int batch = s.pooled ? 1 : static_cast<int>(s.batch);
    return mx::reshape(x, {batch, static_cast<int>(s.groups), 1, 1});
  }
  mx::array weight(const mx::array& w) const {
    return mx::reshape(
        w, {1, static_cast<int>(s.groups), static_cast<int>(s.channels), 1});
  }
  mx::array mean(const mx::array& x) const {
    std::vector<int> axes =
        s.pooled ? std::vector<int>{0, 2, 3} : std::vector<int>{2, 3};
    return mx::divide(
        mx::sum(x, axes, true),
        mx::array(static_cast<double>(s.count()), x.dtype()));
  }
  mx::array per_channel(const mx::array& x) const {
    return mx::flatten(mx::sum(x, std::vector<int>{0, 3}, false));
  }
  // (mean, variance) of values(x)
  std::pair<mx::array, mx::array> moments(const mx::array& x) const {
    if (!s.centered) {
      mx::array var = mean(mx::square(x));
      return {mx::zeros_like(var), var};
    }
    mx::array m = mean(x);
    return {m, mean(mx::square(mx::subtract(x, m)))};
  }
  static mx::array rstd(const mx::array& var, const mx::array& eps) {
    return mx::rsqrt(mx::add(var, eps));
  }
  mx::array apply(
      const mx::array& x,
      const MaybeArray& w,
      const MaybeArray& b,
      const mx::array& m,
      const mx::array& r) const {
    mx::array out = s.centered ? mx::subtract(x, m) : x;
    out = mx::multiply(out, w ? mx::multiply(r, weight(*w)) : r);
    return b ? mx::add(out, weight(*b)) : out;
  }
};

} // namespace

Normalized normalize(
    const mx::array& x,
    const MaybeArray& weight,
    const MaybeArray& bias,
    const NormShape& shape,
    double eps,
    const std::optional<RunningStats>& running) {
  mx::Shape stats = flat(shape.statistics());
  if (use_host() && !traced(x, weight, bias)) {
    Inputs in{{x}};
    int w = in.add(weight), b = in.add(bias), r = -1;
    std::vector<HostResult> results{
        {x.shape(), x.dtype()}, {stats, x.dtype()}, {stats, x.dtype()}};
    if (running) {
      r = in.add(running->mean);
      in.add(running->var);
      results.insert(results.end(), 2, {stats, x.dtype()});
    }
    double momentum = running ? running->momentum : 0;
    auto out = record<Forward>(
        "Normalize", in.list, results, shape, eps, w, b, r, momentum);
    Normalized n{out[0], out[1], out[2], {}};
    if (running) {
      n.running = RunningStats{out[3], out[4], momentum};
    }
    return n;
  }
  Plain plain{shape};
  mx::array v = plain.values(x);
  auto [m, var] = plain.moments(v);
  mx::array r = Plain::rstd(var, mx::array(eps, x.dtype()));
  Normalized n{
      mx::reshape(plain.apply(v, weight, bias, m, r), x.shape()),
      mx::flatten(m),
      mx::flatten(r),
      {}};
  if (running) {
    auto count = static_cast<double>(shape.count());
    auto mix = [&](const mx::array& now, double scale, const mx::array& old) {
      double k = running->momentum;
      return mx::add(
          mx::multiply(mx::flatten(now), mx::array(k * scale, x.dtype())),
          mx::multiply(old, mx::array(1 - k, x.dtype())));
    };
    n.running = RunningStats{
        mix(m, 1, running->mean),
        mix(var, count / (count - 1), running->var),
        running->momentum};
  }
  return n;
}

mx::array normalize_by(
    const mx::array& x,
    const MaybeArray& weight,
    const MaybeArray& bias,
    const mx::array& mean,
    const mx::array& rstd,
    const NormShape& shape) {
  if (use_host() && !traced(x, weight, bias)) {
    Inputs in{{x, mean, rstd}};
    int w = in.add(weight), b = in.add(bias);
    return record<By>(
        "NormalizeBy", in.list, {{x.shape(), x.dtype()}}, shape, w, b)[0];
  }
  Plain plain{shape};
  return mx::reshape(
      plain.apply(
          plain.values(x), weight, bias, plain.stat(mean), plain.stat(rstd)),
      x.shape());
}

std::vector<mx::array> normalize_grads(
    const mx::array& grad,
    const mx::array& x,
    const MaybeArray& weight,
    const mx::array& mean,
    const mx::array& rstd,
    const NormShape& shape,
    bool fixed) {
  bool tracing = traced(x, grad, weight);
  if (use_host() && !tracing) {
    Inputs in{{grad, x, mean, rstd}};
    int w = in.add(weight);
    mx::Shape channels = flat(shape.weights());
    return record<Backward>(
        "NormalizeGrads",
        in.list,
        {{x.shape(), x.dtype()}, {channels, x.dtype()}, {channels, x.dtype()}},
        shape,
        fixed,
        w);
  }
  Plain plain{shape};
  mx::array v = plain.values(x), g = plain.values(grad);
  mx::array m = plain.stat(mean), r = plain.stat(rstd);
  if (tracing && !fixed) {
    auto [own_mean, own_var] = plain.moments(v);
    m = own_mean;
    // What was added to the variance; a constant.
    mx::array eps = mx::subtract(mx::reciprocal(mx::square(r)), own_var);
    r = Plain::rstd(own_var, mx::stop_gradient(eps));
  }
  mx::array normal = mx::multiply(shape.centered ? mx::subtract(v, m) : v, r);
  mx::array gw = weight ? mx::multiply(g, plain.weight(*weight)) : g;
  mx::array inner = gw;
  if (!fixed) {
    inner = mx::subtract(
        gw, mx::multiply(normal, plain.mean(mx::multiply(gw, normal))));
    if (shape.centered) {
      inner = mx::subtract(inner, plain.mean(gw));
    }
  }
  return {
      mx::reshape(mx::multiply(inner, r), x.shape()),
      plain.per_channel(mx::multiply(g, normal)),
      plain.per_channel(g)};
}

} // namespace flashlight
