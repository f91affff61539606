// Samples of distributions, on PyTorch's own stream: in place, or one of each
// parameter.
#include "flashlight/ops/functions/distributions.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/random.h"

namespace flashlight {

namespace {

using Given = std::optional<GeneratorHandle>;

// bernoulli_(tensor): probabilities in the order of the result's memory.
Tensor bernoulli_like(
    const Tensor& self,
    const IntList& strides,
    const Tensor& p,
    const Given& generator) {
  check_real(self.dtype(), "bernoulli_tensor_cpu_self_");
  check_real(p.dtype(), "bernoulli_tensor_cpu_p_");
  mx::array probs = in_memory_order(p, strides);
  return drawn_as(
      self.sizes(),
      strides,
      self.dtype(),
      self.device(),
      generator,
      [&](Generator& g, SampleType type, void* out, int64_t n) {
        fill_bernoulli_tensor(
            g, type, out, n, sample_type(p.dtype()), probs.data<void>());
      });
}

Tensor bernoulli_of(
    const Tensor& self,
    const IntList& strides,
    double p,
    const Given& generator) {
  FL_CHECK(
      0 <= p && p <= 1, "bernoulli_ expects p to be in [0, 1], but got p=", p);
  check_real(self.dtype(), "bernoulli_scalar_cpu_");
  return drawn_as(
      self.sizes(),
      strides,
      self.dtype(),
      self.device(),
      generator,
      [&](Generator& g, SampleType type, void* out, int64_t n) {
        fill_bernoulli(g, type, out, n, p);
      });
}

mx::array evaluated(const mx::array& x) {
  mx::array out = mx::contiguous(x);
  flashlight::eval({out});
  return out;
}

mx::array multinomial_kernel(
    const Tensor& self,
    int64_t samples,
    bool replacement,
    const Given& generator) {
  FL_CHECK(self.dim() == 1 || self.dim() == 2, "prob_dist must be 1 or 2 dim");
  FL_CHECK(
      self.is_floating_point(),
      "multinomial only supports floating-point dtypes for input, got: ",
      scalar_name(self.dtype()));
  FL_CHECK(samples > 0, "cannot sample n_sample <= 0 samples");
  int64_t categories = self.size(-1);
  FL_CHECK(
      replacement || samples <= categories,
      "cannot sample n_sample > prob_dist.size(-1) samples without "
      "replacement");
  int64_t rows = self.dim() == 2 ? self.size(0) : 1;
  IntList sizes = self.dim() == 2 ? IntList{rows, samples} : IntList{samples};
  // PyTorch draws in the order of memory.
  bool by_column =
      self.dim() == 2 && self.stride(0) > 0 && self.stride(0) < self.stride(1);
  mx::array probs =
      evaluated(by_column ? mx::transpose(self.value()) : self.value());
  return drawn(
      sizes,
      Dtype::Int64,
      generator,
      [&](Generator& g, SampleType, void* out, int64_t) {
        sample_multinomial(
            g,
            sample_type(self.dtype()),
            probs.data<void>(),
            rows,
            categories,
            by_column ? 1 : categories,
            by_column ? rows : 1,
            samples,
            replacement,
            static_cast<int64_t*>(out));
      });
}

void register_bernoulli() {
  op("bernoulli(Tensor self, *, Generator? generator=None) -> Tensor")
      .forms("function method out")
      .exact_out("%*")
      .kernel([](const Tensor& self, const Given& generator) {
        return bernoulli_like(
            self, contiguous_strides(self.sizes()), self, generator);
      })
      .zero_grad("self")
      .doc("Zeros and ones, each a one with the probability that `self` has.");
  op("bernoulli.p(Tensor self, float p, *, Generator? generator=None) -> "
     "Tensor")
      .forms("function method")
      .kernel([](const Tensor& self, double p, const Given& generator) {
        return bernoulli_of(
            self, contiguous_strides(self.sizes()), p, generator);
      })
      .no_derivative()
      .doc("Zeros and ones, a one with probability `p`, shaped as `self`.");
  op("bernoulli.Tensor(Tensor self, Tensor p, *, Generator? generator=None) "
     "-> Tensor")
      .forms("inplace")
      .node("BernoulliBackward1")
      .kernel([](const Tensor& self, const Tensor& p, const Given& generator) {
        Tensor probs = expand(p, self.sizes());
        return bernoulli_like(
            self, dense_like(self.geometry()), probs, generator);
      })
      .zero_grad("self p")
      .doc("Zeros and ones, each a one with the probability that `p` has.");
  op("bernoulli.float(Tensor self, float p=0.5, *, Generator? generator=None) "
     "-> Tensor")
      .forms("inplace")
      .node("BernoulliBackward2")
      .kernel([](const Tensor& self, double p, const Given& generator) {
        return bernoulli_of(self, dense_like(self.geometry()), p, generator);
      })
      .zero_grad("self")
      .doc("Zeros and ones, a one with probability `p`.");
}

void register_in_place() {
  op("exponential(Tensor self, float lambd=1, *, Generator? generator=None) "
     "-> Tensor")
      .forms("inplace")
      .kernel([](const Tensor& self, double lambd, const Given& generator) {
        FL_CHECK(
            !self.is_complex(),
            "Exponential distribution is a continuous probability "
            "distribution. dtype must be a floating point but you specified ",
            scalar_name(self.dtype()));
        return drawn_like(
            self,
            generator,
            [&](Generator& g, SampleType type, void* out, int64_t n) {
              fill_exponential(g, type, out, n, lambd);
            });
      })
      .zero_grad("self")
      .doc("Numbers of the exponential distribution of rate `lambd`.");
  op("cauchy(Tensor self, float median=0, float sigma=1, *, Generator? "
     "generator=None) -> Tensor")
      .forms("inplace")
      .kernel([](const Tensor& self,
                 double median,
                 double sigma,
                 const Given& generator) {
        FL_CHECK(
            !self.is_complex(),
            "Cauchy distribution is a continuous probability distribution. "
            "dtype must be a floating point but you specified "
            "c10::complex<float>");
        return drawn_like(
            self,
            generator,
            [&](Generator& g, SampleType type, void* out, int64_t n) {
              fill_cauchy(g, type, out, n, median, sigma);
            });
      })
      .zero_grad("self")
      .doc("Numbers of the Cauchy distribution.");
  op("log_normal(Tensor self, float mean=1, float std=2, *, Generator? "
     "generator=None) -> Tensor")
      .forms("inplace")
      .kernel([](const Tensor& self,
                 double mean,
                 double std,
                 const Given& generator) {
        check_real(self.dtype(), "log_normal_cpu");
        return drawn_like(
            self,
            generator,
            [&](Generator& g, SampleType type, void* out, int64_t n) {
              fill_log_normal(g, type, out, n, mean, std);
            });
      })
      .zero_grad("self")
      .doc("Numbers whose logarithms are of a normal distribution.");
  op("geometric(Tensor self, float p, *, Generator? generator=None) -> "
     "Tensor")
      .forms("inplace")
      .kernel([](const Tensor& self, double p, const Given& generator) {
        check_real(self.dtype(), "geometric_cpu");
        return drawn_like(
            self,
            generator,
            [&](Generator& g, SampleType type, void* out, int64_t n) {
              fill_geometric(g, type, out, n, p);
            });
      })
      .zero_grad("self")
      .doc("How many trials of probability `p` it takes to succeed.");
}

void register_samples() {
  op("multinomial(Tensor self, SymInt num_samples, bool replacement=False, *, "
     "Generator? generator=None) -> Tensor")
      .forms("function method")
      .kernel(multinomial_kernel)
      .not_differentiable()
      .doc("Indices drawn with the probabilities in each row of `self`.");
  op("multinomial.out(Tensor self, SymInt num_samples, bool replacement=False, "
     "*, Generator? generator=None, Tensor(a!) out) -> Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self,
                   int64_t samples,
                   bool replacement,
                   const Given& generator,
                   const Tensor& out) {
        FL_CHECK(
            out.dtype() == Dtype::Int64,
            "multinomial expects Long tensor out, got: ",
            scalar_name(out.dtype()));
        Tensor result = multinomial(self, samples, replacement, generator);
        resize_tensor(out, result.sizes());
        return copy_(out, result, false);
      })
      .doc("multinomial into `out`.");
  op("poisson(Tensor self, Generator? generator=None) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self, const Given& generator) {
        check_real(self.dtype(), "poisson_cpu");
        mx::array rates = evaluated(self.value());
        return drawn(
            self.sizes(),
            self.dtype(),
            generator,
            [&](Generator& g, SampleType type, void* out, int64_t n) {
              fill_poisson(g, type, out, n, rates.data<void>());
            });
      })
      .zero_grad("self")
      .doc("Counts of Poisson distributions of these rates.");
  op("binomial(Tensor count, Tensor prob, Generator? generator=None) -> "
     "Tensor")
      .forms("function")
      .kernel(
          [](const Tensor& count, const Tensor& prob, const Given& generator) {
            FL_CHECK_VALUE(
                count.is_floating_point(),
                "binomial only supports floating-point dtypes for count, got: ",
                scalar_name(count.dtype()));
            FL_CHECK_VALUE(
                prob.is_floating_point(),
                "binomial only supports floating-point dtypes for prob, got: ",
                scalar_name(prob.dtype()));
            FL_CHECK(
                count.dtype() == prob.dtype(),
                "Found dtype ",
                scalar_name(prob.dtype()),
                " but expected ",
                scalar_name(count.dtype()));
            IntList sizes = broadcast_sizes(count.sizes(), prob.sizes());
            auto spread = [&](const Tensor& x) {
              return evaluated(mx::broadcast_to(x.value(), to_shape(sizes)));
            };
            mx::array counts = spread(count), probs = spread(prob);
            return drawn(
                sizes,
                count.dtype(),
                generator,
                [&](Generator& g, SampleType type, void* out, int64_t n) {
                  fill_binomial(
                      g, type, out, n, counts.data<void>(), probs.data<void>());
                });
          })
      .no_derivative()
      .doc("Successes in `count` trials of probability `prob`.");
}

} // namespace

void register_distributions() {
  register_bernoulli();
  register_in_place();
  register_samples();
}

} // namespace flashlight
